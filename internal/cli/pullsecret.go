package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/berth-sh/berth/pipelines"
)

func pullSecretCommand(a *app) *cobra.Command {
	r := pipelines.PullSecretRequest{}
	cmd := &cobra.Command{
		Use:   "pull-secret",
		Short: "Print the Kubernetes secret to pull an environment's images with",
		Long: `Print the Kubernetes secret (kubernetes.io/dockerconfigjson) with which a cluster pulls the images of an
environment, or say why it needs none: EKS pulls from ECR with the role of its nodes, GKE from Artifact Registry
with their account.

This is the one verb that prints a password, on standard output and nowhere else: hand it to kubectl by a pipe.
The login is the one in use at the registry, which must take it. Give one that may only read. A login that soon
ends is refused, because pods would not start then, unless --short-lived asks for it.`,
		Example: `  berth pull-secret --env dev --namespace shop | kubectl apply -f -
  echo "$TOKEN" | berth pull-secret --env dev --username octocat --password-stdin | kubectl apply -f -
  berth pull-secret --env gcp --username _json_key --password-stdin <key.json | kubectl apply -f -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			if err := a.reach(cmd.Context(), p); err != nil {
				return err
			}
			r.Environment = a.flags.env
			secret, err := p.PullSecret(cmd.Context(), r)
			if err != nil {
				return err
			}
			if f, ok := a.process.Stdout.(*os.File); ok && secret.Needed() && term.IsTerminal(int(f.Fd())) {
				_, _ = fmt.Fprintln(a.process.Stderr, "warning: this is a password on the screen; pipe it to kubectl apply -f -")
			}
			return a.show(secret, secret.YAML)
		},
	}
	cmd.Flags().StringVarP(&r.Namespace, "namespace", "n", "", "namespace of the pods; default: kubectl's own")
	cmd.Flags().StringVar(&r.Name, "name", "", "name of the secret; default: the registry's kind and -secret")
	cmd.Flags().BoolVar(&r.ShortLived, "short-lived", false, "take a login that soon ends, such as ECR's of 12 hours")
	return cmd
}
