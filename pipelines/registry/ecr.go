package registry

import "strings"

// publicRegion is where AWS answers for its public registry.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html
const publicRegion = "us-east-1"

// ECRAddress is what the host of a registry of AWS tells.
type ECRAddress struct {
	// Account is the number of the AWS account, "" for the public registry.
	Account string
	// Region is the AWS region whose API answers for the registry.
	Region string
	// Public is true for public.ecr.aws.
	Public bool
	// FIPS and DualStack say which of the region's API endpoints the host belongs to.
	FIPS, DualStack bool
}

// ParseECR reads the host of a registry of AWS; false for any other.
func ParseECR(host string) (ECRAddress, bool) {
	name, _, _ := strings.Cut(strings.ToLower(host), ":")
	labels := strings.Split(name, ".")
	switch {
	case ecrOpen.MatchString(name):
		return ECRAddress{Region: publicRegion, Public: true}, true
	case ecrHost.MatchString(name): // ACCOUNT.dkr.ecr[-fips].REGION.amazonaws.com[.cn]
		return ECRAddress{Account: labels[0], Region: labels[3], FIPS: labels[2] == "ecr-fips"}, true
	case ecrDual.MatchString(name): // ACCOUNT.dkr-ecr[-fips].REGION.on.aws
		return ECRAddress{
			Account: labels[0], Region: labels[2], FIPS: labels[1] == "dkr-ecr-fips", DualStack: true,
		}, true
	default:
		return ECRAddress{}, false
	}
}
