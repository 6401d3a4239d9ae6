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

	// These four differ from OCI by their hosts and by who logs in how, and by nothing else that berth does. Harbor is
	// always one's own host, so that only berth.yaml can name it.
	DockerHub Kind = "dockerhub"
	ACR       Kind = "acr"
	Harbor    Kind = "harbor"
	GitLab    Kind = "gitlab"
)

// Kinds lists every kind, for help texts and for the configuration's schema.
func Kinds() []Kind {
	return []Kind{GHCR, ECR, GCR, Quay, DockerHub, ACR, Harbor, GitLab, OCI}
}

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
	hubHost = regexp.MustCompile(`^(docker\.io|index\.docker\.io|registry-1\.docker\.io|registry\.hub\.docker\.com)$`)
	acrHost = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9]+\.data)?\.azurecr\.(io|cn|us)$`)
	labHost = regexp.MustCompile(`^registry\.gitlab\.com$`)
)

func hostPatterns() []hostPattern {
	return []hostPattern{
		{ghHost, GHCR},
		{ecrHost, ECR},
		{ecrDual, ECR},
		{ecrOpen, ECR},
		{gcrHost, GCR},
		{garHost, GCR},
		{quayIO, Quay},
		{hubHost, DockerHub},
		{acrHost, ACR},
		{labHost, GitLab},
	}
}

// dockerHub is the name under which Docker keeps its own registry's login; docker.io has several hosts.
const dockerHub = "docker.io"

// accountHost is the host under which the login of a host is kept: Docker Hub has one for all of its names.
func accountHost(host string) string {
	if KindOf(host) == DockerHub {
		return dockerHub
	}
	return host
}

// hints are the next steps that a failure names, by kind. HOST, REPOSITORY and REGION are replaced.
type hints struct {
	login, write, missing string
}

func (k Kind) hints() hints {
	switch k {
	case GHCR:
		return hints{
			login: "log in: docker login ghcr.io, with a classic token that has write:packages (no fine-grained one),\n" +
				"or set GITHUB_TOKEN (in GitHub Actions: permissions: packages: write)",
			write: "use a classic token with write:packages (no fine-grained one), or in GitHub Actions\n" +
				"permissions: packages: write;\n" +
				"a package that was first pushed by hand must give the repository write access in its settings",
			missing: "check the owner's name: GHCR creates a package on its first push, but never an owner",
		}
	case ECR:
		login := "log in to AWS, for example: aws sso login; or keep a token for 12 hours: berth registry login HOST, or\n" +
			"aws ecr get-login-password --region REGION | docker login --username AWS --password-stdin HOST"
		return hints{
			login: login,
			write: login + "\nthe identity needs ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, " +
				"ecr:BatchCheckLayerAvailability and ecr:PutImage",
			missing: "create it: aws ecr create-repository --repository-name REPOSITORY --region REGION",
		}
	case GCR:
		return hints{
			login: "log in to Google: gcloud auth application-default login, or keep a token for an hour:\n" +
				"gcloud auth print-access-token | docker login --username oauth2accesstoken --password-stdin https://HOST",
			write: "grant the account roles/artifactregistry.writer on the repository, which must exist;\n" +
				"for a new project also: gcloud services enable artifactregistry.googleapis.com",
			missing: "create it: gcloud artifacts repositories create GOOGLE --repository-format=docker " +
				"(for gcr.io: gcloud artifacts docker upgrade migrate)",
		}
	case Quay:
		return hints{
			login:   "log in with a robot account: docker login --username NAMESPACE+ROBOT --password-stdin HOST",
			write:   "give the robot account write permission on the repository, or creator permission in the organization",
			missing: "create the repository in Quay, or give the robot account creator permission in the organization",
		}
	case DockerHub, ACR, Harbor, GitLab:
		return k.moreHints()
	default:
		return hints{
			login:   "log in: docker login HOST",
			write:   "use an account that may write to the repository: docker login HOST",
			missing: "create the repository in the registry, or check its name",
		}
	}
}

func (k Kind) moreHints() hints {
	switch k {
	case DockerHub:
		return hints{
			login:   "log in with an access token: berth registry login docker.io --username NAME --password-stdin",
			write:   "use an access token with Read & Write, of an account that may push to the repository",
			missing: "check the name: docker.io/OWNER/NAME, where OWNER is your account or an organization that exists",
		}
	case ACR:
		return hints{
			login: "log in: az acr login --name HOST, or set AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal",
			write: "grant the identity the role AcrPush (or Container Registry Repository Writer) on the registry",
			missing: "check the name: a registry in Azure creates a repository on its first push, " +
				"if the token's scope map allows it",
		}
	case Harbor:
		return hints{
			login:   "log in with a robot account: berth registry login HOST --username 'robot$PROJECT+NAME' --password-stdin",
			write:   "give the robot account the permission to push to the project",
			missing: "create the project in Harbor: it creates repositories on their first push, but never a project",
		}
	default:
		return hints{
			login: "log in with a deploy token: berth registry login HOST --username NAME --password-stdin " +
				"(a GitLab CI job has CI_REGISTRY_USER and CI_REGISTRY_PASSWORD already)",
			write:   "use a token with write_registry, of a member with the role Developer or higher",
			missing: "check the path: it begins with the group and project that exist in GitLab, and its registry is turned on",
		}
	}
}

// LoginHint says how people log in to a registry of this kind, for the sake of one repository of it.
func (k Kind) LoginHint(host, repository string) string {
	return fill(k.hints().login, host, repository)
}

// fill puts the names of the repository at hand into a hint.
func fill(hint, host, repository string) string {
	region := publicRegion
	if a, ok := ParseECR(host); ok {
		region = a.Region
	}
	return strings.NewReplacer(
		"GOOGLE", googleRepository(host, repository), "HOST", host, "REPOSITORY", repository, "REGION", region,
	).Replace(hint)
}

// googleRepository names a repository of Artifact Registry as gcloud wants it. It is a part of the image's name: on
// LOCATION-docker.pkg.dev the second one, after the project. The repositories of gcr.io have its hosts' names.
func googleRepository(host, repository string) string {
	parts := strings.SplitN(repository, "/", 3)
	location, ok := strings.CutSuffix(host, "-docker.pkg.dev")
	if ok && len(parts) > 1 {
		return parts[1] + " --location=" + location + " --project=" + parts[0]
	}
	location, _, regional := strings.Cut(host, ".gcr.io")
	if !regional {
		location = "us"
	}
	return host + " --location=" + location + " --project=" + parts[0]
}
