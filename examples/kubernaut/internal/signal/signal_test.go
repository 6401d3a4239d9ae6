package signal

import "testing"

func TestFingerprint(t *testing.T) {
	t.Parallel()
	a := Signal{Name: "OOMKilled", Severity: Critical, Namespace: "shop", Kind: "Pod", Object: "web-1"}
	b := a
	b.Severity, b.Labels = Warning, map[string]string{"x": "y"}
	if a.Fingerprint() != b.Fingerprint() {
		t.Error("severity and labels change the fingerprint")
	}
	b = a
	b.Namespace, b.Kind = "shopPod", ""
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("fields run into each other")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := Signal{Name: "OOMKilled", Severity: Critical, Namespace: "shop", Object: "web-1"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Signal){
		"name":     func(s *Signal) { s.Name = "" },
		"object":   func(s *Signal) { s.Object = "" },
		"severity": func(s *Signal) { s.Severity = "loud" },
	} {
		bad := good
		change(&bad)
		if bad.Check() == nil {
			t.Errorf("a signal with a bad %s is accepted", name)
		}
	}
}
