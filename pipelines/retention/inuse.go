package retention

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
)

// InUse names images that run somewhere, and so never expire.
type InUse struct {
	// Digests of indexes or of single platforms. They count whatever repository they were pulled from: a mirror has the
	// same ones.
	Digests map[string]bool
	// Tags by "host/repository:tag", for what was given without a digest.
	Tags map[string]bool
}

func (u InUse) names(repository, tag string) bool { return u.Tags[repository+":"+tag] }

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ParseInUse reads what is in use: lines with a digest or an image reference, empty lines and # comments apart; or the
// JSON of pods, as `kubectl get pods --all-namespaces --output json` prints it. subject names the input in messages.
// Input that names no image is an error, because the command that should have written it may have failed.
func ParseInUse(subject string, data []byte) (InUse, error) {
	u := InUse{Digests: map[string]bool{}, Tags: map[string]bool{}}
	parse := u.lines
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		parse = u.pods
	}
	if err := parse(subject, data); err != nil {
		return InUse{}, err
	}
	if len(u.Digests)+len(u.Tags) == 0 {
		return InUse{}, fault.New(fault.Usage, subject,
			"see that the command that wrote it succeeded, or leave out --in-use when nothing is running",
			"it names no image")
	}
	return u, nil
}

func (u InUse) lines(subject string, data []byte) error {
	scanner := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; scanner.Scan(); n++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		if text = strings.TrimSpace(text); text != "" && !u.add(text) {
			return fault.New(fault.Usage, fmt.Sprintf("%s:%d", subject, n),
				"write sha256:…, host/repository@sha256:… or host/repository:tag", "%q is no image", text)
		}
	}
	if err := scanner.Err(); err != nil {
		return fault.New(fault.Usage, subject, "", "read what is in use: %w", err)
	}
	return nil
}

// add takes a digest or a reference, and reports whether it was one.
func (u InUse) add(text string) bool {
	if _, digest, ok := strings.Cut(text, "@"); ok {
		text = digest
	}
	if digestPattern.MatchString(text) {
		u.Digests[text] = true
		return true
	}
	if strings.Contains(text, "@") || strings.ContainsAny(text, " \t") {
		return false
	}
	// A port has a slash behind it, a tag has not.
	name, tag := text, "latest"
	if i := strings.LastIndex(text, ":"); i > strings.LastIndex(text, "/") {
		name, tag = text[:i], text[i+1:]
	}
	if !strings.Contains(name, "/") || tag == "" {
		return false
	}
	u.Tags[name+":"+tag] = true
	return true
}

// pod is the part of a pod that is read.
type pod struct {
	Spec struct {
		Containers          []container `json:"containers"`
		InitContainers      []container `json:"initContainers"`
		EphemeralContainers []container `json:"ephemeralContainers"`
	} `json:"spec"`
	Status struct {
		Containers          []container `json:"containerStatuses"`
		InitContainers      []container `json:"initContainerStatuses"`
		EphemeralContainers []container `json:"ephemeralContainerStatuses"`
	} `json:"status"`
}

type container struct {
	Image   string `json:"image"`
	ImageID string `json:"imageID"`
}

func (u InUse) pods(subject string, data []byte) error {
	var list struct {
		pod
		Kind  string `json:"kind"`
		Items []pod  `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fault.New(fault.Usage, subject, "give it the output of: kubectl get pods --all-namespaces --output json",
			"it is neither lines nor JSON of pods: %w", err)
	}
	for _, p := range append(list.Items, list.pod) {
		for _, c := range [][]container{
			p.Spec.Containers, p.Spec.InitContainers, p.Spec.EphemeralContainers,
			p.Status.Containers, p.Status.InitContainers, p.Status.EphemeralContainers,
		} {
			for _, x := range c {
				// Both count: the ID says what runs now, the image what the next start pulls. Names without a registry are
				// not in any of ours.
				u.add(strings.TrimPrefix(x.ImageID, "docker-pullable://"))
				u.add(x.Image)
			}
		}
	}
	return nil
}
