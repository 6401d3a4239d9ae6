package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// review is the part of an AdmissionReview that is read and answered.
// Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID      string `json:"uid"`
	UserInfo struct {
		Username string `json:"username"`
	} `json:"userInfo"`
	Object struct {
		Spec struct {
			Decision  string `json:"decision"`
			DecidedBy string `json:"decidedBy"`
		} `json:"spec"`
	} `json:"object"`
}

type response struct {
	UID     string  `json:"uid"`
	Allowed bool    `json:"allowed"`
	Status  *status `json:"status,omitempty"`
}

type status struct {
	Message string `json:"message"`
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("authwebhook", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			mux.Handle("POST /validate", service.Handle(
				func(_ *http.Request, in review) (review, error) { return validate(in) }))
			return nil
		},
	}
}

func validate(in review) (review, error) {
	if in.Kind != "AdmissionReview" || in.Request == nil || in.Request.UID == "" {
		return review{}, service.Fail(http.StatusBadRequest, "this is no AdmissionReview with a request")
	}
	out := review{APIVersion: in.APIVersion, Kind: in.Kind, Response: &response{UID: in.Request.UID, Allowed: true}}
	if reason := objection(*in.Request); reason != "" {
		out.Response.Allowed, out.Response.Status = false, &status{reason}
	}
	return out, nil
}

// objection tells why a decision is not accepted: who decides must be a person, and say so truthfully.
func objection(r request) string {
	user, spec := r.UserInfo.Username, r.Object.Spec
	switch {
	case spec.Decision == "":
		return ""
	case strings.HasPrefix(user, "system:"):
		return "a decision is a person's; " + user + " is none"
	case spec.DecidedBy != user:
		return fmt.Sprintf("decidedBy says %q, but the request is from %q", spec.DecidedBy, user)
	default:
		return ""
	}
}
