package registry

import "time"

// Policy says what is retried. A zero field takes its default.
type Policy struct {
	// Attempts is the number of times that a request is sent at most; 0 is 5.
	Attempts int
	// Base is the wait before the second attempt; it doubles with each one. 0 is 250 ms.
	Base time.Duration
	// MaxWait is the longest wait that is accepted, from backoff or Retry-After; 0 is 60 s. When a registry asks for
	// more, berth gives up and says when to try again.
	MaxWait time.Duration
}
