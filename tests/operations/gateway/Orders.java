import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Places orders as a Java program does that sets nothing: its client offers HTTP/2 with each request. */
class Orders {
    public static void main(String[] arguments) throws Exception {
        URI orders = URI.create(arguments[0] + "/orders");
        byte[] body = arguments[1].getBytes("UTF-8");
        HttpClient client = HttpClient.newHttpClient();
        post(client, orders, BodyPublishers.ofByteArray(body));
        post(client, orders, BodyPublishers.ofByteArray(body));
        post(client, orders, BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body)));
        HttpRequest read = HttpRequest.newBuilder(URI.create(arguments[0] + "/livez")).build();
        System.out.println(client.send(read, BodyHandlers.ofString()).statusCode());
    }

    static void post(HttpClient client, URI orders, BodyPublisher body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(orders)
            .timeout(Duration.ofSeconds(10))
            .header("Content-Type", "application/json")
            .POST(body)
            .build();
        System.out.println(client.send(request, BodyHandlers.ofString()).statusCode());
    }
}
