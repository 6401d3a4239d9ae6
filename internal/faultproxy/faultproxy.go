// Package faultproxy injects faults in front of a registry, at the level of HTTP and TCP, for tests: answers such as
// 429 with Retry-After, resets in the middle of an upload, silence, and bodies that end too early. It also counts the
// requests that arrive.
//
// [Proxy] is an http.Handler for a real server, which all faults need that break a connection. [Proxy.Wrap] is a
// RoundTripper for tests without a socket.
package faultproxy

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Rule says which requests get which fault.
type Rule struct {
	// Method is the HTTP method; "" is any.
	Method string
	// Path matches the URL's path; nil is any.
	Path *regexp.Regexp
	// Skip lets that many matching requests through first.
	Skip int
	// Times is how many matching requests after those get the fault; 0 is every one.
	Times int
	// Fault is what happens.
	Fault Fault

	seen int
}

// Fault is what happens to a request. The zero value changes nothing.
type Fault struct {
	// Status answers with this status, Header and Body, without asking the registry.
	Status int
	Header http.Header
	Body   string
	// Reset breaks the connection after ResetAfter bytes of the request's body were read. On a TCP connection the
	// client sees a reset, with Wrap an io.ErrUnexpectedEOF.
	Reset      bool
	ResetAfter int64
	// Close ends the connection in good order without an answer, as a server does with a connection that was idle for
	// too long. With Wrap the client sees an io.EOF.
	Close bool
	// Hang gives no answer until the client gives up.
	Hang bool
	// Truncate asks the registry and sends only that many bytes of its answer's body, then breaks the connection. It
	// needs a body longer than that.
	Truncate int64
	// LoseAnswer lets the registry do its work and then breaks the connection instead of answering.
	LoseAnswer bool
}

// Proxy injects faults in front of a handler and counts. It is safe for concurrent use.
type Proxy struct {
	next http.Handler

	mu     sync.Mutex
	rules  []*Rule
	random *random
	counts map[string]int
	log    []string
}

// New puts a proxy in front of a handler; next may be nil when only [Proxy.Wrap] is used.
func New(next http.Handler, rules ...Rule) *Proxy {
	p := &Proxy{next: next, counts: map[string]int{}}
	p.Add(rules...)
	return p
}

// Add appends rules. The first rule that matches a request and still has faults to give decides.
func (p *Proxy) Add(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		p.rules = append(p.rules, &r)
	}
}

// Clear removes all rules and the random mode. Counts stay.
func (p *Proxy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.random = nil, nil
}

// Random gives the share (0 to 1) of all requests that no rule matched one of the faults. Whether a request gets one,
// and which, depends on the seed, its method and target, and on how often that was asked for before: so that the same
// seed gives the same faults also when parallel requests arrive in another order.
func (p *Proxy) Random(seed uint64, share float64, faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.random = &random{seed: seed, share: share, faults: faults, asked: map[string]uint64{}}
}

// random is the state of the random mode.
type random struct {
	seed   uint64
	share  float64
	faults []Fault
	asked  map[string]uint64
}

// session is the part of an upload's address that the registry makes up.
var session = regexp.MustCompile(`/blobs/uploads/[^/?]+`)

func (r *random) pick(req *http.Request) Fault {
	q := req.URL.Query()
	key := req.Method + session.ReplaceAllString(req.URL.Path, "/blobs/uploads/…") + q.Get("digest") + q.Get("mount")
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key))
	chance := rand.New(rand.NewPCG(r.seed, hash.Sum64()+r.asked[key]))
	r.asked[key]++
	if chance.Float64() >= r.share {
		return Fault{}
	}
	return r.faults[chance.IntN(len(r.faults))]
}

// Class names the kind of a path: manifests, blobs, uploads, tags, referrers, token, ping or other.
func Class(path string) string {
	switch {
	case strings.Contains(path, "/blobs/uploads"):
		return "uploads"
	case strings.Contains(path, "/manifests/"):
		return "manifests"
	case strings.Contains(path, "/blobs/"):
		return "blobs"
	case strings.HasSuffix(path, "/tags/list"):
		return "tags"
	case strings.Contains(path, "/referrers/"):
		return "referrers"
	case strings.HasSuffix(path, "/token"), path == "/v2/auth":
		return "token"
	case path == "/v2/", path == "/v2":
		return "ping"
	default:
		return "other"
	}
}

// Count is the number of requests of a method and class so far, faulty ones included; "" is any.
func (p *Proxy) Count(method, class string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for key, count := range p.counts {
		m, c, _ := strings.Cut(key, " ")
		if (method == "" || m == method) && (class == "" || c == class) {
			n += count
		}
	}
	return n
}

// ResetCounts begins to count, and to log, from zero.
func (p *Proxy) ResetCounts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts, p.log = map[string]int{}, nil
}

// Log lists "METHOD path" of the requests so far, in the order of their arrival.
func (p *Proxy) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// pick counts the request and chooses its fault.
func (p *Proxy) pick(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[r.Method+" "+Class(r.URL.Path)]++
	p.log = append(p.log, r.Method+" "+r.URL.Path)
	for _, rule := range p.rules {
		if rule.Method != "" && rule.Method != r.Method || rule.Path != nil && !rule.Path.MatchString(r.URL.Path) {
			continue
		}
		if rule.seen < rule.Skip || rule.Times == 0 || rule.seen < rule.Skip+rule.Times {
			rule.seen++
			if rule.seen > rule.Skip {
				return rule.Fault
			}
		}
	}
	if p.random != nil {
		return p.random.pick(r)
	}
	return Fault{}
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.pick(r)
	switch {
	case f.Status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		for k, v := range f.Header {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(f.Body)))
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	case f.Reset:
		_, _ = io.CopyN(io.Discard, r.Body, f.ResetAfter)
		reset(w)
	case f.Close:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	case f.Hang:
		// The body must be read, or the server does not notice that the client has gone.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	case f.LoseAnswer:
		p.next.ServeHTTP(&deaf{header: http.Header{}}, r)
		reset(w)
	case f.Truncate > 0:
		p.next.ServeHTTP(&short{ResponseWriter: w, left: f.Truncate}, r)
		_ = http.NewResponseController(w).Flush()
		reset(w)
	default:
		p.next.ServeHTTP(w, r)
	}
}

// reset closes the connection with a TCP reset, or cuts the pipe where there is no TCP.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// deaf throws an answer away.
type deaf struct{ header http.Header }

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) WriteHeader(int)             {}
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }

// short lets only the first bytes of a body through.
type short struct {
	http.ResponseWriter
	left int64
}

func (s *short) Write(b []byte) (int, error) {
	n := len(b)
	if int64(n) > s.left {
		b = b[:s.left]
	}
	s.left -= int64(len(b))
	if len(b) > 0 {
		if _, err := s.ResponseWriter.Write(b); err != nil {
			return 0, err
		}
	}
	return n, nil
}
