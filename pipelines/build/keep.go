package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/image"
)

// Store keeps binaries between runs. Whatever goes wrong with it costs a build and no more.
type Store interface {
	// File returns the file under a key and the SHA-256 of its content, or false when there is none or it is damaged.
	File(key [sha256.Size]byte) (path string, sum [sha256.Size]byte, ok bool)
	// KeepFile keeps a copy of a file under a key and returns the SHA-256 of its content.
	KeepFile(key [sha256.Size]byte, path string) (sum [sha256.Size]byte, err error)
}

// KeepIn lets the builder take binaries from a store that were built before from the same source with the same
// toolchain and settings, and keep those that it builds. [Options.NoCache] leaves the store alone.
func (g *Go) KeepIn(s Store) *Go {
	g.store = s
	return g
}

// keyFormat is raised when the same key must not lead to what an older berth has kept.
const keyFormat = 1

// ingredients are all that a binary is made of.
type ingredients struct {
	Format int
	// Tool is the go command of the machine, Setting its GOTOOLCHAIN, and Toolchain the one that the module chose.
	Tool, Setting, Toolchain string
	Args                     []string
	Env                      map[string]string
	Source                   string
}

// keys are the keys of the targets' binaries, or false when a binary cannot be told by what it is made of.
func (t *tool) keys(ctx context.Context, c GoComponent, m module, targets []target, o Options) (
	keys [][sha256.Size]byte, ok bool,
) {
	if !t.told(m) || !toldFlags(c) || !toldEnv(c.Env) {
		return nil, false
	}
	sum, err := sourceSum(ctx, c, m.work)
	if err != nil {
		return nil, false // a build says what is wrong, if anything is
	}
	for _, target := range targets {
		env, err := settings(c, module{work: "", toolchain: m.toolchain}, target.platform) // the source covers go.work
		if err != nil {
			return nil, false
		}
		said, err := json.Marshal(ingredients{
			Format: keyFormat, Tool: t.identity, Setting: t.setting, Toolchain: m.toolchain,
			Args: buildArgs(c, o, ""), Env: env, Source: hex.EncodeToString(sum[:]),
		})
		if err != nil {
			return nil, false
		}
		keys = append(keys, sha256.Sum256(said))
	}
	return keys, true
}

// told says whether the toolchain is a release, whose name stands for its content. One that is found in PATH by its
// name, or that somebody develops, may change under it.
func (t *tool) told(m module) bool {
	return t.identity != "" && oneRelease.MatchString(t.local) &&
		!strings.Contains(m.toolchain, "path") && !strings.Contains(t.setting, "path")
}

// identify tells the go command of this machine from others of the same version.
func identify(path, version string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %s %d %d", version, path, info.Size(), info.ModTime().UnixNano())
}

// plainFlag is a flag of the linker that makes it read no further file.
var plainFlag = regexp.MustCompile(`^-{1,2}(s|w|X|X=.*|buildid=.*)$`)

func toldFlags(c GoComponent) bool {
	for _, word := range strings.Fields(strings.Join(c.LDFlags, " ")) {
		if word = strings.Trim(word, `'"`); strings.HasPrefix(word, "-") && !plainFlag.MatchString(word) {
			return false
		}
	}
	return true
}

// toldEnv says whether a component's environment has only what the compiler takes for itself: a C compiler or a file of
// overlays would bring something that no key covers.
func toldEnv(env map[string]string) bool {
	for name, value := range env {
		switch name {
		case "GOEXPERIMENT", "GODEBUG", "GOFIPS140", "GOAMD64", "GOARM64", "GOARM", "GO386", "GOPPC64", "GORISCV64", "GOMIPS",
			"GOMIPS64":
		case "CGO_ENABLED":
			if value != "0" {
				return false
			}
		case "GOTOOLCHAIN":
			if strings.Contains(value, "path") {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// recall returns the binaries of all targets, when the store has each.
func (g *Go) recall(keys [][sha256.Size]byte, targets []target) ([]image.Binary, bool) {
	var out []image.Binary
	for i, key := range keys {
		path, sum, ok := g.store.File(key)
		if !ok {
			return nil, false
		}
		out = append(out, image.Binary{
			Platform: targets[i].platform, Path: path, Digest: digest.NewDigestFromBytes(digest.SHA256, sum[:]),
		})
	}
	return out, len(out) > 0
}

// keep keeps what was built. What cannot be kept is built again next time.
func (g *Go) keep(keys [][sha256.Size]byte, binaries []image.Binary) {
	for i, key := range keys {
		if sum, err := g.store.KeepFile(key, binaries[i].Path); err == nil {
			binaries[i].Digest = digest.NewDigestFromBytes(digest.SHA256, sum[:])
		}
	}
}
