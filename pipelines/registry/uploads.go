package registry

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// defaultUploads is the number of large blobs under way to one host; eight fill a fast line.
const defaultUploads = 8

// smallBlob is the size in bytes up to which a blob is sent without a look whether it is there, and beside the large
// ones: the look takes as long as the blob.
const smallBlob = 32 << 10

// uploads limits the large blobs under way to each host. A place is held from reading a blob until the registry has
// it, so that nothing is opened at the source that would have to wait. Of those that wait the largest goes first:
// begun last, it would still be under way when the others have ended.
type uploads struct {
	size int

	mu    sync.Mutex
	hosts map[string]*lane
}

// lane is the uploads to one host.
type lane struct {
	running int
	waiting []*waiter // the largest first
}

type waiter struct {
	size  int64
	ready chan struct{}
}

func newUploads(size int) *uploads { return &uploads{size: size, hosts: map[string]*lane{}} }

// begin waits for a place for a blob of a size. The function that it returns gives the place back.
func (u *uploads) begin(ctx context.Context, host string, size int64) (end func(), err error) {
	u.mu.Lock()
	l := u.hosts[host]
	if l == nil {
		l = &lane{}
		u.hosts[host] = l
	}
	end = func() { u.end(l) }
	if l.running < u.size {
		l.running++
		u.mu.Unlock()
		return end, nil
	}
	w := &waiter{size: size, ready: make(chan struct{})}
	at, _ := slices.BinarySearchFunc(l.waiting, size, func(x *waiter, size int64) int {
		return cmp.Or(cmp.Compare(size, x.size), -1) // behind those of the same size
	})
	l.waiting = slices.Insert(l.waiting, at, w)
	u.mu.Unlock()
	select {
	case <-w.ready:
		return end, nil
	case <-ctx.Done():
	}
	u.mu.Lock()
	i := slices.Index(l.waiting, w)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	u.mu.Unlock()
	if i < 0 { // it was given the place meanwhile
		end()
	}
	return nil, context.Cause(ctx)
}

// end hands the place on.
func (u *uploads) end(l *lane) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(l.waiting) == 0 {
		l.running--
		return
	}
	close(l.waiting[0].ready)
	l.waiting = slices.Delete(l.waiting, 0, 1)
}
