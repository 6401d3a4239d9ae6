package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The sandbox answers the API of ECR as far as berth and people's scripts use it: JSON 1.1 over POST, the operation in
// the header X-Amz-Target.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html
var (
	awsHost = regexp.MustCompile(`^(?:api\.)?ecr(?:-fips)?\.([a-z0-9-]+)\.` +
		`(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$`)
	awsPublic = regexp.MustCompile(`^(?:api\.)?ecr-public\.[a-z0-9-]+\.(?:amazonaws\.com|api\.aws)$`)
	awsKey    = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/, ]+)/`)
)

// tokenLife is how long a token of GetAuthorizationToken lives.
const tokenLife = 12 * time.Hour

// maxAWSRequest is more than any request to the API, in bytes.
const maxAWSRequest = 1 << 20

// awsRefusal is an error answer of an API of AWS, which always has status 400.
type awsRefusal struct{ code, message string }

func (r awsRefusal) write(w http.ResponseWriter) {
	writeAWS(w, http.StatusBadRequest, map[string]string{"__type": r.code, "message": r.message})
}

func writeAWS(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// awsRequest has the members of all requests that are answered.
type awsRequest struct {
	RegistryID      string       `json:"registryId"`
	RepositoryName  string       `json:"repositoryName"`
	RepositoryNames []string     `json:"repositoryNames"`
	ImageIDs        []awsImageID `json:"imageIds"`
	awsSettings
}

// awsSettings are what a repository of ECR was created with.
type awsSettings struct {
	Mutability string      `json:"imageTagMutability,omitempty"`
	Exclusions []awsFilter `json:"imageTagMutabilityExclusionFilters,omitempty"`
	Scanning   *awsScan    `json:"imageScanningConfiguration,omitempty"`
	Tags       []awsTag    `json:"tags,omitempty"`
}

type awsFilter struct {
	Filter string `json:"filter"`
	Type   string `json:"filterType"`
}

type awsScan struct {
	OnPush bool `json:"scanOnPush"`
}

type awsTag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// awsRepository is a repository in an answer.
type awsRepository struct {
	RegistryID string      `json:"registryId"`
	Name       string      `json:"repositoryName"`
	ARN        string      `json:"repositoryArn"`
	URI        string      `json:"repositoryUri"`
	Mutability string      `json:"imageTagMutability"`
	Exclusions []awsFilter `json:"imageTagMutabilityExclusionFilters,omitempty"`
	Scanning   awsScan     `json:"imageScanningConfiguration"`
}

// serveAWS answers a request to the API of ECR, and tells whether the host is one of that API.
func (s *Sandbox) serveAWS(w http.ResponseWriter, r *http.Request, host string) bool {
	region := awsHost.FindStringSubmatch(host)
	public := awsPublic.MatchString(host)
	if region == nil && !public {
		return false
	}
	key := awsKey.FindStringSubmatch(r.Header.Get("Authorization"))
	if key == nil {
		awsRefusal{"MissingAuthenticationTokenException", "Missing Authentication Token"}.write(w)
		return true
	}
	if key[1] != Username {
		awsRefusal{"UnrecognizedClientException", "The security token included in the request is invalid."}.write(w)
		return true
	}
	var asked awsRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAWSRequest)).Decode(&asked); err != nil {
		awsRefusal{"SerializationException", "the request is no JSON"}.write(w)
		return true
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if public {
		if operation != "GetAuthorizationToken" {
			awsRefusal{"UnknownOperationException", "the sandbox knows no " + operation + " of the public registry"}.write(w)
			return true
		}
		writeAWS(w, http.StatusOK, map[string]any{"authorizationData": s.awsToken()})
		return true
	}
	s.serveECR(w, r, operation, region[1], asked)
	return true
}

func (s *Sandbox) serveECR(w http.ResponseWriter, r *http.Request, operation, region string, asked awsRequest) {
	if operation == "GetAuthorizationToken" {
		writeAWS(w, http.StatusOK, map[string]any{"authorizationData": []any{s.awsToken()}})
		return
	}
	if len(asked.RegistryID) != 12 {
		awsRefusal{"InvalidParameterException", "the sandbox needs registryId, as its key belongs to no account"}.write(w)
		return
	}
	host := asked.RegistryID + ".dkr.ecr." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	switch operation {
	case "DescribeRepositories":
		s.describeRepositories(w, host, region, asked)
	case "CreateRepository":
		s.createECR(w, r, host, region, asked)
	case "DescribeImages":
		s.describeImages(w, host, asked)
	case "BatchDeleteImage":
		s.batchDeleteImage(w, r, host, asked)
	default:
		awsRefusal{"UnknownOperationException", "the sandbox knows no " + operation}.write(w)
	}
}

func (s *Sandbox) awsToken() map[string]any {
	s.renewed()
	return map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + s.password())),
		"expiresAt":          time.Now().Add(tokenLife).Unix(),
	}
}

func (s *Sandbox) describeRepositories(w http.ResponseWriter, host, region string, asked awsRequest) {
	found := []awsRepository{}
	for _, name := range asked.RepositoryNames {
		if !s.exists(host + "/" + name) {
			awsRefusal{
				"RepositoryNotFoundException", "The repository with name '" + name +
					"' does not exist in the registry with id '" + asked.RegistryID + "'",
			}.write(w)
			return
		}
		settings, _, err := s.awsSettings(host, name)
		if err != nil {
			awsRefusal{"ServerException", "the sandbox cannot read its state"}.write(w)
			return
		}
		found = append(found, settings.describe(host, region, asked.RegistryID, name))
	}
	writeAWS(w, http.StatusOK, map[string]any{"repositories": found})
}

func (a awsSettings) describe(host, region, account, name string) awsRepository {
	out := awsRepository{
		RegistryID: account, Name: name, URI: host + "/" + name,
		ARN:        "arn:aws:ecr:" + region + ":" + account + ":repository/" + name,
		Mutability: a.Mutability, Exclusions: a.Exclusions,
	}
	if out.Mutability == "" {
		out.Mutability = "MUTABLE"
	}
	if a.Scanning != nil {
		out.Scanning = *a.Scanning
	}
	return out
}

func (s *Sandbox) createECR(w http.ResponseWriter, r *http.Request, host, region string, asked awsRequest) {
	name := asked.RepositoryName
	settings := asked.awsSettings
	withFilters := strings.HasSuffix(settings.Mutability, "_WITH_EXCLUSION")
	switch {
	case s.exists(host + "/" + name):
		awsRefusal{"RepositoryAlreadyExistsException", "The repository with name '" + name + "' already exists"}.write(w)
		return
	case len(settings.Exclusions) > 5, withFilters != (len(settings.Exclusions) > 0), !filtersValid(settings.Exclusions):
		awsRefusal{"InvalidParameterException", "Invalid parameter at 'imageTagMutabilityExclusionFilters'"}.write(w)
		return
	}
	if err := s.CreateRepository(r.Context(), host+"/"+name); err != nil {
		awsRefusal{"InvalidParameterException", "Invalid parameter at 'repositoryName' failed to satisfy constraint"}.write(w)
		return
	}
	if err := s.keepAWSSettings(host, name, settings); err != nil {
		awsRefusal{"ServerException", "the sandbox cannot write its state"}.write(w)
		return
	}
	writeAWS(w, http.StatusOK, map[string]any{
		"repository": settings.describe(host, region, asked.RegistryID, name),
	})
}

// awsPattern is what a filter may be, with two wildcards at most.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/
// API_ImageTagMutabilityExclusionFilter.html
var awsPattern = regexp.MustCompile(`^[0-9a-zA-Z._*-]{1,128}$`)

func filtersValid(filters []awsFilter) bool {
	for _, f := range filters {
		if f.Type != "WILDCARD" || !awsPattern.MatchString(f.Filter) || strings.Count(f.Filter, "*") > 2 {
			return false
		}
	}
	return true
}

// awsFile keeps the settings of a repository, beside the registries.
func (s *Sandbox) awsFile(host, name string) string {
	return filepath.Join(s.options.Dir, "ecr", host, filepath.FromSlash(name)+".json")
}

func (s *Sandbox) keepAWSSettings(host, name string, settings awsSettings) error {
	file := s.awsFile(host, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	body, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o644)
}

// awsSettings are those that the repository was created with; false when it came to be by a push.
func (s *Sandbox) awsSettings(host, name string) (settings awsSettings, created bool, err error) {
	body, err := os.ReadFile(s.awsFile(host, name))
	if errors.Is(err, fs.ErrNotExist) {
		return settings, false, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &settings)
	}
	return settings, err == nil, err
}

// immutable tells whether a tag of the repository may be put only once.
func (a awsSettings) immutable(tag string) bool {
	excluded := false
	for _, f := range a.Exclusions {
		if ok, _ := path.Match(f.Filter, tag); ok { // a filter has no character that path.Match cannot read
			excluded = true
		}
	}
	switch a.Mutability {
	case "IMMUTABLE":
		return true
	case "IMMUTABLE_WITH_EXCLUSION":
		return !excluded
	case "MUTABLE_WITH_EXCLUSION":
		return excluded
	default:
		return false
	}
}
