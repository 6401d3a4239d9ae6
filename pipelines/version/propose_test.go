package version

import (
	"slices"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"
)

func TestPropose(t *testing.T) {
	t.Parallel()
	feat, fix, breaking := Message{Subject: "feat: a"}, Message{Subject: "fix: b"}, Message{Subject: "feat!: c"}
	noise := Message{Subject: "docs: d"}
	const elsewhere = " is released from another line of history: only patches are free here"
	tests := []struct {
		name, last, stored string
		messages           []Message
		taken              []string
		want               string
		reasons            []string
	}{
		{"the first release", "", "1.0.0", nil, nil, "1.0.0", []string{"1.0.0 is not released yet"}},
		{
			"the first release, after work", "", "1.0.0",
			[]Message{feat, breaking},
			nil, "1.0.0",
			[]string{"minor: feat: a", "minor: feat!: c", "1.0.0 is not released yet"},
		},
		{
			"the first release, as far as its work asks", "", "0.1.0",
			[]Message{feat},
			nil, "0.1.0",
			[]string{"minor: feat: a", "0.1.0 is not released yet"},
		},
		{"from nothing, a feature", "", "0.0.0", []Message{feat}, nil, "0.1.0", []string{"minor: feat: a"}},
		{"from nothing, a fix", "", "0.0.0", []Message{fix}, nil, "0.0.1", []string{"patch: fix: b"}},
		{"from nothing, nothing", "", "0.0.0", []Message{noise}, nil, "0.0.0", nil},
		{
			"nothing since", "1.0.0", "1.0.0",
			[]Message{noise},
			[]string{"1.0.0"},
			"1.0.0",
			[]string{"nothing since 1.0.0 asks for a release"},
		},
		{"a feature since", "1.0.0", "1.0.0", []Message{feat, fix}, nil, "1.1.0", []string{"minor: feat: a", "patch: fix: b"}},
		{
			"raised by hand", "1.0.0", "1.5.0",
			[]Message{fix},
			nil, "1.5.0",
			[]string{"patch: fix: b", "1.5.0 is not released yet"},
		},
		{"raised by hand, nothing since", "1.0.0", "2.0.0", nil, nil, "2.0.0", []string{"2.0.0 is not released yet"}},
		{"raised by hand as far", "1.0.0", "1.1.0", []Message{feat}, nil, "1.1.0", []string{"minor: feat: a"}},
		{"raised by hand, too low", "1.0.0", "1.0.1", []Message{feat}, nil, "1.1.0", []string{"minor: feat: a"}},
		{"a file that lags behind", "1.2.0", "1.0.0", []Message{fix}, nil, "1.2.1", []string{"patch: fix: b"}},
		{
			"a candidate becomes its release", "1.0.0", "1.1.0-rc.2",
			[]Message{feat},
			[]string{"1.1.0-rc.2"},
			"1.1.0",
			[]string{"minor: feat: a"},
		},
		{
			"a candidate, nothing since the release", "1.0.0", "1.1.0-rc.2",
			[]Message{noise},
			nil, "1.1.0",
			[]string{"1.1.0 is not released yet"},
		},
		{
			"a break after the candidate of a minor", "1.0.0", "1.1.0-rc.2",
			[]Message{feat, breaking},
			nil, "2.0.0",
			[]string{"minor: feat: a", "major: feat!: c"},
		},
		{"a candidate of the first release", "", "1.0.0-rc.1", nil, nil, "1.0.0", []string{"1.0.0 is not released yet"}},
		{
			"an old line", "1.0.0", "1.0.0",
			[]Message{feat},
			[]string{"1.0.0", "1.1.0"},
			"1.0.1",
			[]string{"minor: feat: a", "1.1.0" + elsewhere},
		},
		{
			"an old line with fixes", "1.0.2", "1.0.2",
			[]Message{feat},
			[]string{"1.0.2", "1.0.3", "1.0.4", "1.1.0"},
			"1.0.5",
			[]string{"minor: feat: a", "1.1.0" + elsewhere},
		},
		{
			"an old line, its own patch free", "1.0.0", "1.0.0",
			[]Message{fix},
			[]string{"1.0.0", "1.1.0"},
			"1.0.1",
			[]string{"patch: fix: b"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var last *semver.Version
			if tt.last != "" {
				last = semver.MustParse(tt.last)
			}
			got, reasons := Propose(last, semver.MustParse(tt.stored), tt.messages, func(v *semver.Version) bool {
				return slices.Contains(tt.taken, v.String())
			})
			if got.String() != tt.want {
				t.Errorf("next = %s, want %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.reasons, reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}
