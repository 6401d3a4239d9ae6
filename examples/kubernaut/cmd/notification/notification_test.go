package main

import (
	"testing"

	"github.com/berth-sh/berth/examples/kubernaut/internal/signal"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	s := signal.Signal{Name: "OOM", Severity: signal.Critical, Namespace: "shop", Object: "web"}
	for text, want := range map[string]string{
		"web restarted":                        "web restarted",
		"login with PASSWORD=hunter2 failed":   "login with PASSWORD=[redacted] failed",
		"Authorization: Bearer abc.def was no": "Authorization: Bearer [redacted] was no",
	} {
		got, err := write(request{s, text})
		if err != nil || got.Body != want || got.Channel != "pager" || got.Subject != "CRITICAL OOM: shop/web" {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := write(request{s, " "}); err == nil {
		t.Error("an empty message is sent")
	}
}
