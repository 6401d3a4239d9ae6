package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// maxBody bounds a request, in bytes.
const maxBody = 1 << 20

// Error is a failure with the status of its answer.
type Error struct {
	Status int
	Err    error
}

// Error returns the cause.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail makes an error with a status.
func Fail(status int, format string, args ...any) error {
	return &Error{Status: status, Err: fmt.Errorf(format, args...)}
}

// WriteJSON writes an answer. A client that is gone is nobody to tell.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// Handle answers a JSON request with a JSON answer. A body that is no such JSON gives 400, an [Error] its own status,
// and any other error 422: the request was understood, but cannot be done.
func Handle[In, Out any](do func(r *http.Request, in In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		if err := body.Decode(&in); err != nil {
			WriteJSON(w, http.StatusBadRequest, map[string]string{"error": "the body is not the expected JSON: " + err.Error()})
			return
		}
		answer(w, func() (Out, error) { return do(r, in) })
	})
}

// Read answers a request without a body, as [Handle].
func Read[Out any](do func(r *http.Request) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, func() (Out, error) { return do(r) })
	})
}

func answer[Out any](w http.ResponseWriter, do func() (Out, error)) {
	out, err := do()
	if failed, ok := errors.AsType[*Error](err); ok {
		WriteJSON(w, failed.Status, map[string]string{"error": failed.Error()})
		return
	}
	if err != nil {
		WriteJSON(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	WriteJSON(w, http.StatusOK, out)
}
