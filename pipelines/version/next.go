package version

import (
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Message is the message of one commit: its first line, and the rest.
type Message struct {
	Subject string
	Body    string
}

// Increment is how much a change moves a version. Greater values are greater moves.
type Increment int

const (
	// None is a change that makes no release by itself.
	None Increment = iota
	// Patch is a fix.
	Patch
	// Minor is a feature.
	Minor
	// Major is a change that breaks users.
	Major
)

// String returns none, patch, minor or major.
func (i Increment) String() string {
	switch i {
	case Patch:
		return "patch"
	case Minor:
		return "minor"
	case Major:
		return "major"
	default:
		return "none"
	}
}

var (
	// header is "type(scope)!: description"; rules 1, 4, 5 and 13 of https://www.conventionalcommits.org/en/v1.0.0/.
	header = regexp.MustCompile(`^([\pL\pN][\pL\pN_-]*)(\([^()]*\))?(!)?: +\S`)
	// breakingFooter is upper case and at the start of a line; rules 11, 12, 15 and 16.
	breakingFooter = regexp.MustCompile(`(?m)^BREAKING[ -]CHANGE:(?:[ \t]|\r?$)`)
)

// Classify reads a message by https://www.conventionalcommits.org/en/v1.0.0/: feat is minor, fix and perf are patch,
// "!" or a BREAKING CHANGE footer is major, whatever the type. Types are whole words in any case. A message that
// follows no convention is [None].
func Classify(m Message) Increment {
	match := header.FindStringSubmatch(m.Subject)
	if breakingFooter.MatchString(m.Body) || match != nil && match[3] == "!" {
		return Major
	}
	if match == nil {
		return None
	}
	switch strings.ToLower(match[1]) {
	case "feat":
		return Minor
	case "fix", "perf":
		return Patch
	default:
		return None
	}
}

// Next proposes the version after current for the messages since it. The reasons are the messages that count, in
// their order, each as "minor: feat: subject". Without one, next equals current. A pre-release becomes the release it
// leads to. While the major version is 0 a breaking change is a minor step (https://semver.org, rule 4). A nil current
// stands for 0.0.0.
func Next(current *semver.Version, messages []Message) (next *semver.Version, reasons []string) {
	if current == nil {
		current = semver.New(0, 0, 0, "", "")
	}
	step := None
	for _, m := range messages {
		own := Classify(m)
		if own == Major && current.Major() == 0 {
			own = Minor
		}
		if own == None {
			continue
		}
		step = max(step, own)
		reasons = append(reasons, own.String()+": "+m.Subject)
	}
	switch {
	case step == None:
		return current, nil
	case current.Prerelease() != "":
		return semver.New(current.Major(), current.Minor(), current.Patch(), "", ""), reasons
	}
	var moved semver.Version
	switch step {
	case Major:
		moved = current.IncMajor()
	case Minor:
		moved = current.IncMinor()
	default:
		moved = current.IncPatch()
	}
	return &moved, reasons
}

// Propose computes the next version from the last final release (nil when there is none), the version that the files
// hold, and the messages since that release. A version that was set by hand but is not released yet is kept when it is
// not lower than what the messages ask for. taken tells whether a version is released already, from another line of
// history; there only patches are free.
func Propose(
	last, stored *semver.Version, messages []Message, taken func(*semver.Version) bool,
) (next *semver.Version, reasons []string) {
	core := semver.New(stored.Major(), stored.Minor(), stored.Patch(), "", "")
	next, reasons = Next(last, messages)
	switch {
	case core.GreaterThan(next), last == nil && core.Major()+core.Minor()+core.Patch() > 0:
		return core, append(reasons, core.String()+" is not released yet")
	case last != nil && next.Equal(last):
		return last, []string{"nothing since " + last.String() + " asks for a release"}
	}
	if !taken(next) || last == nil {
		return next, reasons
	}
	reasons = append(reasons, next.String()+" is released from another line of history: only patches are free here")
	for patch := last.IncPatch(); ; patch = patch.IncPatch() {
		if !taken(&patch) {
			return &patch, reasons
		}
	}
}
