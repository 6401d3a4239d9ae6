package registry_test

import (
	"testing"

	"github.com/berth-sh/berth/pipelines/registry"
)

func TestParseECR(t *testing.T) {
	t.Parallel()
	const account = "339954290315"
	for host, want := range map[string]registry.ECRAddress{
		"339954290315.dkr.ecr.us-west-2.amazonaws.com":          {Account: account, Region: "us-west-2"},
		"339954290315.dkr.ecr-fips.us-gov-west-1.amazonaws.com": {Account: account, Region: "us-gov-west-1", FIPS: true},
		"339954290315.dkr.ecr.cn-north-1.amazonaws.com.cn":      {Account: account, Region: "cn-north-1"},
		"339954290315.dkr-ecr.us-west-2.on.aws":                 {Account: account, Region: "us-west-2", DualStack: true},
		"339954290315.dkr-ecr-fips.us-east-1.on.aws":            {Account: account, Region: "us-east-1", FIPS: true, DualStack: true},
		"public.ecr.aws": {Region: "us-east-1", Public: true},
	} {
		if got, ok := registry.ParseECR(host); !ok || got != want {
			t.Errorf("%s: %+v, %v", host, got, ok)
		}
	}
	for _, host := range []string{"ghcr.io", "", "12345.dkr.ecr.us-west-2.amazonaws.com", "api.ecr.us-west-2.amazonaws.com"} {
		if got, ok := registry.ParseECR(host); ok {
			t.Errorf("%s: %+v", host, got)
		}
	}
}
