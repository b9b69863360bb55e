package unheard

import "testing"

func TestAnEventIsLeftOutOnlyWhereItsTypeIsPlainlyOneThatIsNotHeard(t *testing.T) {
	types := Of(map[string]string{"rawPayload": "true", "unheardTypes": "OrderPaid,SeatsSold"})
	cases := map[string]bool{
		`{"id":"1","type":"OrderPaid","data":{}}`:                     true,
		`{"id":"1","data":{"type":"OrderPlaced"},"type":"SeatsSold"}`: true,
		`{"id":"1","type":"OrderPlaced","data":{"type":"OrderPaid"}}`: false,
		`{"id":"1","type":"OrderPaidTwice"}`:                          false,
		`{"id":"1","type":7}`:                                         false,
		`{"id":"1"}`:                                                  false,
		`{"type":"OrderPaid"`:                                         false,
		``:                                                            false,
	}
	for event, want := range cases {
		if got := types.Has("", []byte(event)); got != want {
			t.Errorf("%s: %t", event, got)
		}
	}
	if !types.Has("SeatsSold", nil) || types.Has("OrderPlaced", nil) {
		t.Error("what the type is was said")
	}
	if Of(map[string]string{"rawPayload": "true"}).Has("OrderPaid", []byte(`{"type":"OrderPaid"}`)) {
		t.Error("nothing was said to be unheard")
	}
}
