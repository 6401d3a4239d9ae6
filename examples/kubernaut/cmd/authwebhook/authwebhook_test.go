package main

import "testing"

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		user, decision, by string
		allowed            bool
	}{
		"no decision":      {"system:serviceaccount:x", "", "", true},
		"own decision":     {"ann", "approve", "ann", true},
		"another's name":   {"ann", "approve", "bob", false},
		"service account":  {"system:serviceaccount:x", "approve", "system:serviceaccount:x", false},
		"nobody's at all ": {"ann", "approve", "", false},
	} {
		in := review{Kind: "AdmissionReview", Request: &request{UID: "1"}}
		in.Request.UserInfo.Username = tt.user
		in.Request.Object.Spec.Decision, in.Request.Object.Spec.DecidedBy = tt.decision, tt.by
		out, err := validate(in)
		if err != nil || out.Response.UID != "1" || out.Response.Allowed != tt.allowed {
			t.Errorf("%s: %+v, %v", name, out.Response, err)
		}
	}
	if _, err := validate(review{}); err == nil {
		t.Error("something else is taken for a review")
	}
}
