"""What is counted of requests, and told of one service."""

from cludale.web.metrics import RequestCounts


def counts() -> RequestCounts:
    counted = RequestCounts()
    counted.add("POST", "/orders", 201, 0.004)
    counted.add("POST", "/orders/{order_id}/cancel", 500, 0.002)
    counted.add("GET", "/orders-of-others", 200, 0.001)
    return counted


def test_a_service_has_the_requests_of_its_own_routes() -> None:
    told = counts().of("orders")
    assert told["cludale_http_answers_total"] == 2
    assert told["cludale_http_errors_total"] == 1
    assert told['cludale_http_requests_total{method="POST",route="/orders",status="201"}'] == 1


def test_what_no_route_answered_is_of_no_service_and_hides_nothing() -> None:
    counted = counts()
    counted.add("GET", "(none)", 404, 0.0)
    counted.add("OPTIONS", "*", 204, 0.0)
    counted.refused("(none)", b'{"type":"/problems/no-such-route"}')
    assert counted.of("orders") == counts().of("orders")
