package registry

import (
	"regexp"
	"strings"
)

// Kind is a family of registries with the same habits.
type Kind string

// The kinds that berth knows. OCI is any registry that follows the distribution specification and has no habits of
// its own.
const (
	GHCR Kind = "ghcr"
	ECR  Kind = "ecr"
	GCR  Kind = "gcr"
	Quay Kind = "quay"
	OCI  Kind = "oci"
)

// Kinds lists every kind, for help texts and for the configuration's schema.
func Kinds() []Kind { return []Kind{GHCR, ECR, GCR, Quay, OCI} }

// KindOf tells the kind of a registry host, with or without a port. An unknown host is [OCI].
func KindOf(host string) Kind {
	name := strings.ToLower(host)
	if h, _, ok := strings.Cut(name, ":"); ok {
		name = h
	}
	for _, p := range hostPatterns() {
		if p.re.MatchString(name) {
			return p.kind
		}
	}
	return OCI
}

type hostPattern struct {
	re   *regexp.Regexp
	kind Kind
}

// The patterns of private ECR hosts follow AWS's endpoint list: commercial, FIPS, China and the dual-stack names under
// on.aws. Google's follow "Artifact Registry: transition from Container Registry".
var (
	ecrHost = regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)
	ecrDual = regexp.MustCompile(`^[0-9]{12}\.dkr-ecr(-fips)?\.[a-z0-9-]+\.on\.(aws|amazonwebservices\.com\.cn)$`)
	ecrOpen = regexp.MustCompile(`^(public\.ecr\.aws|ecr-public\.aws\.com)$`)
	gcrHost = regexp.MustCompile(`^((us|eu|asia)\.)?gcr\.io$`)
	garHost = regexp.MustCompile(`^[a-z0-9-]+-docker\.pkg\.dev$`)
	ghHost  = regexp.MustCompile(`^ghcr\.io$`)
	quayIO  = regexp.MustCompile(`^quay\.io$`)
)

func hostPatterns() []hostPattern {
	return []hostPattern{
		{ghHost, GHCR}, {ecrHost, ECR}, {ecrDual, ECR}, {ecrOpen, ECR}, {gcrHost, GCR}, {garHost, GCR}, {quayIO, Quay},
	}
}

// hints are the next steps that a failure names, by kind. HOST, REPOSITORY and REGION are replaced.
type hints struct {
	login, write, missing string
}

func (k Kind) hints() hints {
	switch k {
	case GHCR:
		return hints{
			login: "log in: docker login ghcr.io, with a classic token that has write:packages,\n" +
				"or set GITHUB_TOKEN (in GitHub Actions: permissions: packages: write)",
			write: "use a classic token with write:packages, or in GitHub Actions permissions: packages: write;\n" +
				"a package that was first pushed by hand must give the repository write access in its settings",
			missing: "check the owner's name: GHCR creates a package on its first push, but never an owner",
		}
	case ECR:
		login := "log in: aws ecr get-login-password --region REGION | docker login --username AWS --password-stdin HOST"
		return hints{
			login: login,
			write: login + "\nthe identity needs ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, " +
				"ecr:BatchCheckLayerAvailability and ecr:PutImage",
			missing: "create it: aws ecr create-repository --repository-name REPOSITORY --region REGION",
		}
	case GCR:
		return hints{
			login: "log in: gcloud auth print-access-token | docker login --username oauth2accesstoken " +
				"--password-stdin https://HOST",
			write: "grant the account roles/artifactregistry.writer on the repository",
			missing: "create it: gcloud artifacts repositories create REPOSITORY --repository-format=docker " +
				"(for gcr.io: gcloud artifacts docker upgrade migrate)",
		}
	case Quay:
		return hints{
			login:   "log in with a robot account: docker login --username NAMESPACE+ROBOT --password-stdin HOST",
			write:   "give the robot account write permission on the repository, or creator permission in the organization",
			missing: "create the repository in Quay, or give the robot account creator permission in the organization",
		}
	default:
		return hints{
			login:   "log in: docker login HOST",
			write:   "use an account that may write to the repository: docker login HOST",
			missing: "create the repository in the registry, or check its name",
		}
	}
}

// fill puts the names of the repository at hand into a hint.
func fill(hint, host, repository string) string {
	return strings.NewReplacer("HOST", host, "REPOSITORY", repository, "REGION", region(host)).Replace(hint)
}

// region reads the AWS region out of a private ECR host; the public gallery lives in us-east-1.
func region(host string) string {
	labels := strings.Split(host, ".")
	switch {
	case len(labels) > 4 && labels[1] == "dkr":
		return labels[3]
	case len(labels) > 3 && strings.HasPrefix(labels[1], "dkr-ecr"):
		return labels[2]
	default:
		return "us-east-1"
	}
}
