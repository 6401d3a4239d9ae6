package version

import (
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   Message
		want Increment
	}{
		{"feature", Message{Subject: "feat: add a port"}, Minor},
		{"feature with scope", Message{Subject: "feat(api): add a port"}, Minor},
		{"any case", Message{Subject: "FEAT: add a port"}, Minor},
		{"fix", Message{Subject: "fix: close the file"}, Patch},
		{"performance", Message{Subject: "perf(tar): reuse the buffer"}, Patch},
		{"other type", Message{Subject: "chore: tidy"}, None},
		{"type that ends in one that counts", Message{Subject: "defeat: the purpose"}, None},
		{"type that starts with one that counts", Message{Subject: "feature: add a port"}, None},
		{"type with a dash", Message{Subject: "feat-x: add a port"}, None},
		{"no colon", Message{Subject: "feat add a port"}, None},
		{"no space after the colon", Message{Subject: "feat:add a port"}, None},
		{"no description", Message{Subject: "feat: "}, None},
		{"space before the colon", Message{Subject: "feat : add"}, None},
		{"not at the start", Message{Subject: "Revert \"feat: add a port\""}, None},
		{"merge", Message{Subject: "Merge branch 'fix: x'"}, None},
		{"empty", Message{}, None},
		{"breaking mark", Message{Subject: "feat!: drop the port"}, Major},
		{"breaking mark after a scope", Message{Subject: "fix(api)!: drop the port"}, Major},
		{"breaking mark on a type that makes no release", Message{Subject: "refactor!: drop Go 1.20"}, Major},
		{"mark before the scope", Message{Subject: "feat!(api): drop"}, None},
		{"mark in the text", Message{Subject: "chore: drop it!: yes"}, None},
		{"footer", Message{Subject: "fix: x", Body: "Text.\n\nBREAKING CHANGE: the port moved"}, Major},
		{"footer with a dash", Message{Subject: "chore: x", Body: "BREAKING-CHANGE: the port moved"}, Major},
		{"footer with Windows line ends", Message{Subject: "fix: x", Body: "T.\r\n\r\nBREAKING CHANGE:\r\nit moved"}, Major},
		{"footer in lower case", Message{Subject: "fix: x", Body: "breaking change: none"}, Patch},
		{"footer inside a line", Message{Subject: "fix: x", Body: "This is no BREAKING CHANGE: really"}, Patch},
		{"footer without a convention", Message{Subject: "Move it", Body: "BREAKING CHANGE: the port moved"}, Major},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Classify(tt.in); got != tt.want {
				t.Errorf("Classify(%q, %q) = %s, want %s", tt.in.Subject, tt.in.Body, got, tt.want)
			}
		})
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	feat, fix, breaking := Message{Subject: "feat: a"}, Message{Subject: "fix: b"}, Message{Subject: "feat!: c"}
	noise := Message{Subject: "docs: d"}
	tests := []struct {
		name, current, want string
		messages            []Message
		reasons             []string
	}{
		{"nothing", "1.2.3", "1.2.3", nil, nil},
		{"nothing that counts", "1.2.3", "1.2.3", []Message{noise}, nil},
		{"patch", "1.2.3", "1.2.4", []Message{noise, fix}, []string{"patch: fix: b"}},
		{
			"greatest wins, order kept", "1.2.3", "1.3.0",
			[]Message{fix, feat, fix},
			[]string{"patch: fix: b", "minor: feat: a", "patch: fix: b"},
		},
		{"major", "1.2.3", "2.0.0", []Message{fix, breaking}, []string{"patch: fix: b", "major: feat!: c"}},
		{"breaking before 1.0", "0.4.1", "0.5.0", []Message{breaking}, []string{"minor: feat!: c"}},
		{"fix before 1.0", "0.4.1", "0.4.2", []Message{fix}, []string{"patch: fix: b"}},
		{"pre-release becomes its release", "1.3.0-rc.2", "1.3.0", []Message{fix}, []string{"patch: fix: b"}},
		{"pre-release without a change", "1.3.0-rc.2", "1.3.0-rc.2", []Message{noise}, nil},
		{"build metadata goes", "1.2.3+7", "1.2.4", []Message{fix}, []string{"patch: fix: b"}},
		{"numbers, not digits", "1.9.9", "1.10.0", []Message{feat}, []string{"minor: feat: a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			next, reasons := Next(semver.MustParse(tt.current), tt.messages)
			if next.String() != tt.want {
				t.Errorf("next = %s, want %s", next, tt.want)
			}
			if diff := cmp.Diff(tt.reasons, reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
	if next, _ := Next(nil, []Message{feat}); next.String() != "0.1.0" {
		t.Errorf("first version = %s, want 0.1.0", next)
	}
}

func FuzzNext(f *testing.F) {
	f.Add("1.2.3", "feat(a)!: b", "BREAKING CHANGE: c", "fix: d")
	f.Add("0.1.0-rc.1+x", "fix: a", "", "")
	f.Fuzz(func(t *testing.T, current, subject, body, other string) {
		v, err := semver.StrictNewVersion(current)
		if err != nil {
			t.Skip()
		}
		messages := []Message{{Subject: subject, Body: body}, {Subject: other}}
		next, reasons := Next(v, messages)
		counts := 0
		for _, m := range messages {
			if Classify(m) != None {
				counts++
			}
		}
		if len(reasons) != counts {
			t.Fatalf("%d reasons for %d messages that count", len(reasons), counts)
		}
		overflow := v.Major()+1 == 0 || v.Minor()+1 == 0 || v.Patch()+1 == 0
		if !overflow && next.GreaterThan(v) != (counts > 0) {
			t.Fatalf("next of %s is %s with %d messages that count", v, next, counts)
		}
	})
}
