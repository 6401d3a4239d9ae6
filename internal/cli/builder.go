package cli

import "github.com/spf13/cobra"

const (
	builderGo     = "go"
	builderDagger = "dagger"
)

// builderFlags choose where Go components are built.
func (a *app) builderFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.flags.builder, "builder", builderGo, "where Go components are built: go or dagger")
	cmd.Flags().StringVar(&a.flags.goImage, "go-image", "",
		"image with the Go toolchain for --builder dagger; default: golang of the pinned version")
	_ = cmd.RegisterFlagCompletionFunc("builder",
		cobra.FixedCompletions([]string{builderGo, builderDagger}, cobra.ShellCompDirectiveNoFileComp))
}
