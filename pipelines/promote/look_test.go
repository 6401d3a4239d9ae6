package promote_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Both sides are asked at once: neither is answered before the other has been asked.
func TestBothSidesAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	k := cargo{version: "1.0.0", day: 1}
	y.road(k)
	for environment, sides := range map[string][2]string{
		"staging":    {"dev.example.com/v2/o/alpha/manifests/", "prd.example.com/v2/o/alpha/tags/list"},
		"production": {"prd.example.com/v2/o/alpha/tags/list", "prd.example.com/v2/o/alpha/manifests/v1.0.0"},
	} {
		var asked [2]chan struct{}
		var once [2]sync.Once
		for i := range asked {
			asked[i] = make(chan struct{})
		}
		y.hook(func(r *http.Request) error {
			for i, side := range sides {
				if !strings.HasPrefix(r.URL.Host+r.URL.Path, side) {
					continue
				}
				once[i].Do(func() { close(asked[i]) })
				select {
				case <-asked[1-i]:
				case <-time.After(10 * time.Second):
					return errors.New("the other side is not asked")
				}
			}
			return nil
		})
		_, err := y.promote(t.Context(), k, to(environment))
		y.hook(nil)
		must(t, err)
	}
}
