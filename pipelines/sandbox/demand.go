package sandbox

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/berth-sh/berth/pipelines/registry"
)

// demands is what was asked of hosts by [Sandbox.Throttle] and [Sandbox.Expire].
type demands struct {
	mu    sync.Mutex
	hosts map[string]demand
}

type demand struct {
	throttled  int // requests still to refuse
	retryAfter string
	logins     int // how often the logins so far were forgotten
	expired    bool
}

// change changes the demand of a host and returns what it was before.
func (d *demands) change(host string, change func(*demand)) demand {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hosts == nil {
		d.hosts = map[string]demand{}
	}
	before := d.hosts[host]
	after := before
	change(&after)
	d.hosts[host] = after
	return before
}

func (d *demands) of(host string) demand { return d.change(host, func(*demand) {}) }

// Throttle makes a host refuse its next requests with 429. retryAfter goes into the header of that name, "" leaves it
// out.
func (s *Sandbox) Throttle(host string, requests int, retryAfter string) {
	s.demands.change(host, func(d *demand) { d.throttled, d.retryAfter = requests, retryAfter })
}

// Expire ends the logins at a host: tokens that its token server gave out are refused from now on, and a host of ECR
// refuses its passwords until GetAuthorizationToken gives out new ones.
func (s *Sandbox) Expire(host string) {
	s.demands.change(host, func(d *demand) { d.logins, d.expired = d.logins+1, true })
}

// throttled answers a request that is one too many, and tells whether it was.
func (s *Sandbox) throttled(w http.ResponseWriter, host string) bool {
	d := s.demands.change(host, func(d *demand) { d.throttled = max(0, d.throttled-1) })
	if d.throttled == 0 {
		return false
	}
	if d.retryAfter != "" {
		w.Header().Set("Retry-After", d.retryAfter)
	}
	refusal{http.StatusTooManyRequests, "TOOMANYREQUESTS", "rate exceeded"}.write(w)
	return true
}

// renewed ends what Expire did to the passwords of ECR.
func (s *Sandbox) renewed() {
	s.demands.mu.Lock()
	defer s.demands.mu.Unlock()
	for host, d := range s.demands.hosts {
		d.expired = false
		s.demands.hosts[host] = d
	}
}

// expiredPassword is ECR's answer to a password of more than twelve hours ago.
func expiredPassword() refusal {
	return refusal{
		http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.",
	}
}

// wrongPassword is the answer to a password that never was one. GHCR's token server says 403, and ECR has no challenge.
func wrongPassword(kind registry.Kind) refusal {
	switch kind {
	case registry.GHCR:
		return refusal{http.StatusForbidden, "DENIED", "denied"}
	case registry.ECR:
		return refusal{http.StatusBadRequest, "DENIED", "Your Authorization Token is invalid."}
	default:
		return unauthorized()
	}
}

// page puts the kind's largest page into a request for tags that wants more, or does not say.
func (h habits) page(q url.Values) {
	asked, err := strconv.Atoi(q.Get("n"))
	if h.pageSize > 0 && (err != nil || asked > h.pageSize) {
		q.Set("n", strconv.Itoa(h.pageSize))
	}
}
