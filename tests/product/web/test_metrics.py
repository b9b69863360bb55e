"""What is counted of requests, and told of one service."""

from cludale.web.metrics import Metrics, RequestCounts

TOLD = ("0.001", "0.0025", "5.0", "+Inf")
"""Some of the bounds."""


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


def test_what_took_a_bound_s_time_counts_as_no_longer_than_it() -> None:
    counted = RequestCounts()
    for seconds in (0.0005, 0.001, 0.0011, 7.0):
        counted.add("POST", "/orders", 201, seconds)
    counted.again["POST", "/orders", 201] += 2
    told = counted.of("orders")
    bounds = {bound: told[f'cludale_http_request_seconds_bucket_total{{le="{bound}"}}'] for bound in TOLD}
    assert bounds == {"0.001": 4, "0.0025": 5, "5.0": 5, "+Inf": 6}


def test_counts_are_shown_as_prometheus_has_them() -> None:
    shown = Metrics(counts(), dict, version="1").text().decode()
    assert 'cludale_http_requests_total{method="POST",route="/orders",status="201"} 1.0' in shown
    assert 'cludale_http_request_seconds_bucket{le="0.005",method="POST",route="/orders"} 1.0' in shown
    assert 'cludale_http_request_seconds_bucket{le="+Inf",method="POST",route="/orders"} 1.0' in shown
    assert 'cludale_http_request_seconds_count{method="POST",route="/orders"} 1.0' in shown
    assert 'cludale_http_request_seconds_sum{method="POST",route="/orders"} 0.004' in shown
