package main

import (
	"context"
)

// Check berth.yaml: keys, values, references, tag templates, version files
//
// Example: dagger check check-config
//
// +check
func (b *Berth) CheckConfig(ctx context.Context) error {
	_, err := with(ctx, b, "", func(o *opened) (struct{}, error) {
		_, err := o.pipeline.Check()
		return struct{}{}, err
	})
	return err
}

// Run the tests of all Go components
//
// +check
func (b *Berth) CheckTests(ctx context.Context) error {
	return b.inModules(ctx, "go", "test", "./...")
}

// Run go vet over all Go components
//
// +check
func (b *Berth) CheckLint(ctx context.Context) error {
	return b.inModules(ctx, "go", "vet", "./...")
}

// Rehearse a publish to every environment that accepts this git ref
//
// +check
// +cache="never"
func (b *Berth) CheckRehearsal(ctx context.Context) error {
	_, err := b.Rehearse(ctx, Table)
	return err
}

// inModules runs a command in the module of each Go component.
func (b *Berth) inModules(ctx context.Context, command ...string) error {
	_, err := with(ctx, b, "", func(o *opened) (struct{}, error) {
		return struct{}{}, o.pipeline.InModules(ctx, o.engine, command...)
	})
	return err
}
