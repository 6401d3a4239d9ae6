package remotewrite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/receiver"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
)

func samples() []series.Sample {
	return []series.Sample{
		{
			Labels: []series.Label{{Name: "__name__", Value: "a"}, {Name: "x", Value: "ü \" \x00"}}, Value: -1.5,
			Time: 1700000000123,
		},
		{Labels: []series.Label{{Name: "__name__", Value: "b"}}, Value: math.Inf(1), Time: -1},
		{Labels: []series.Label{{Name: "__name__", Value: "c"}}},
	}
}

func TestEncodeIsWhatAnotherDecoderReads(t *testing.T) {
	t.Parallel()
	got, err := receiver.Decode(Encode(samples()))
	if err != nil || !reflect.DeepEqual(got, samples()) {
		t.Errorf("got %+v, %v", got, err)
	}
	stale, err := receiver.Decode(Encode([]series.Sample{{Labels: samples()[1].Labels, Value: series.Stale()}}))
	if err != nil || len(stale) != 1 || math.Float64bits(stale[0].Value) != math.Float64bits(series.Stale()) {
		t.Errorf("the stale marker came back as %+v, %v", stale, err)
	}
}

// rig is a client with its endpoint, a clock that stands still and pauses that do not pass.
type rig struct {
	*Client
	receiver receiver.Receiver
	pauses   []time.Duration
	retries  int
}

func newRig(t *testing.T, answer func(int, http.ResponseWriter)) *rig {
	t.Helper()
	r := &rig{}
	r.receiver.Answer = answer
	server := httptest.NewServer(&r.receiver)
	t.Cleanup(server.Close)
	r.Client = New(Options{
		URL: server.URL, HTTP: server.Client(), UserAgent: "test/1", Attempts: 5,
		Base: time.Second, Max: 4 * time.Second, Jitter: func() float64 { return 1 },
		Now: func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) },
		Sleep: func(ctx context.Context, d time.Duration) error {
			r.pauses = append(r.pauses, d)
			return ctx.Err()
		},
		Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Retried: func() { r.retries++ },
	})
	return r
}

func status(codes ...int) func(int, http.ResponseWriter) {
	return func(n int, w http.ResponseWriter) { w.WriteHeader(codes[min(n, len(codes))-1]) }
}

func TestSendRetries(t *testing.T) {
	t.Parallel()
	second := time.Second
	after := func(code int, value string) func(int, http.ResponseWriter) {
		return func(n int, w http.ResponseWriter) {
			if n == 1 {
				w.Header().Set("Retry-After", value)
				w.WriteHeader(code)
			}
		}
	}
	tests := map[string]struct {
		answer func(int, http.ResponseWriter)
		pauses []time.Duration
		fails  bool
	}{
		"at once":    {status(200), nil, false},
		"no content": {status(204), nil, false},
		"grows to the max": {
			status(500, 502, 503, 504, 200),
			[]time.Duration{second, 2 * second, 4 * second, 4 * second},
			false,
		},
		"gives up":     {status(500), []time.Duration{second, 2 * second, 4 * second, 4 * second}, true},
		"429":          {status(429, 200), []time.Duration{second}, false},
		"seconds":      {after(429, "7"), []time.Duration{7 * second}, false},
		"date":         {after(503, "Sun, 01 Nov 2026 12:00:30 GMT"), []time.Duration{30 * second}, false},
		"date is over": {after(503, "Sun, 01 Nov 2026 11:00:00 GMT"), []time.Duration{second}, false},
		"too long":     {after(429, "86400"), []time.Duration{5 * time.Minute}, false},
		"nonsense":     {after(429, "soon"), []time.Duration{second}, false},
		"cut connection": {func(n int, _ http.ResponseWriter) {
			if n == 1 {
				panic(http.ErrAbortHandler)
			}
		}, []time.Duration{second}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.answer)
			err := r.Send(t.Context(), samples())
			if (err != nil) != tt.fails || tt.fails && !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v", err)
			}
			if !slices.Equal(r.pauses, tt.pauses) || r.retries != len(tt.pauses) {
				t.Errorf("pauses %v, want %v; %d retries counted", r.pauses, tt.pauses, r.retries)
			}
			requests := r.receiver.Requests()
			if len(requests) != len(tt.pauses)+1 {
				t.Fatalf("%d requests", len(requests))
			}
			for i, request := range requests {
				want := ""
				if i > 0 {
					want = fmt.Sprint(i)
				}
				if got := request.Header.Get("Retry-Attempt"); got != want || !reflect.DeepEqual(request.Samples, samples()) {
					t.Errorf("request %d: Retry-Attempt %q, samples %+v", i, got, request.Samples)
				}
			}
		})
	}
}

func TestSendDoesNotRepeatWhatIsRejected(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 307, 400, 401, 403, 404, 413, 422} {
		r := newRig(t, func(_ int, w http.ResponseWriter) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "out of\norder "+strings.Repeat("x", 10000)) // the length of an answer is not ours
		})
		err := r.Send(t.Context(), samples())
		rejected, ok := errors.AsType[*Rejected](err)
		if !ok || rejected.Status != code || !strings.HasPrefix(rejected.Body, "out of order x") {
			t.Errorf("%d: %v", code, err)
		}
		if len(err.Error()) > 2*maxErrorBody || len(r.receiver.Requests()) != 1 || len(r.pauses) != 0 {
			t.Errorf("%d: %d requests, pauses %v", code, len(r.receiver.Requests()), r.pauses)
		}
	}
}

func TestSendStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := newRig(t, func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError); cancel() })
	if err := r.Send(ctx, samples()); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := len(r.receiver.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestErrorsDoNotTellTheURL(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(int, http.ResponseWriter) { panic(http.ErrAbortHandler) })
	r.URL += "?key=hunter2"
	err := r.Send(t.Context(), samples())
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, io.EOF) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestBackoffIsSpread(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for jitter, want := range map[float64]time.Duration{0: 500 * time.Millisecond, 0.5: 750 * time.Millisecond} {
		r.Jitter = func() float64 { return jitter }
		if got := r.backoff(1); got != want {
			t.Errorf("jitter %v gives %v, want %v", jitter, got, want)
		}
	}
	r.Jitter = func() float64 { return 0 }
	if got := r.backoff(math.MaxInt); got != r.Max/2 {
		t.Errorf("a late attempt pauses %v, want %v", got, r.Max/2)
	}
}

func TestTokenIsReadAnewAndNeverTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, status(500, 401))
	r.TokenFile = filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		t.Helper()
		if err := os.WriteFile(r.TokenFile, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("first-secret")
	r.Sleep = func(context.Context, time.Duration) error { put("second-secret"); return nil }
	err := r.Send(t.Context(), samples())
	var got []string
	for _, request := range r.receiver.Requests() {
		got = append(got, request.Header.Get("Authorization"))
	}
	if want := []string{"Bearer first-secret", "Bearer second-secret"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	r.TokenFile, r.Attempts = r.TokenFile+"-missing", 1
	if err := r.Send(t.Context(), samples()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
}
