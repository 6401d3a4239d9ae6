package main

import (
	"testing"
	"time"
)

func TestCache(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	c := &cache{now: func() time.Time { return now }, ttl: time.Minute, byID: map[string]cached{}}
	c.put("a", cluster{Region: "eu"})
	if got, err := c.get("a"); err != nil || got.Region != "eu" {
		t.Errorf("%+v, %v", got, err)
	}
	now = now.Add(time.Minute)
	if _, err := c.get("a"); err == nil || len(c.byID) != 0 {
		t.Error("facts outlive their time")
	}
}
