package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// The schema of the audit trail.
//
//go:embed migrations/*.sql
var embedded embed.FS

// applied maps the name of each applied migration to its checksum.
type applied map[string]string

func run(ctx context.Context, world service.World) int {
	build := service.NewBuild("db-migrate", version, commit)
	flags := flag.NewFlagSet(build.Name, flag.ContinueOnError)
	flags.SetOutput(world.Stderr)
	showVersion := flags.Bool("version", false, "print the version and exit")
	record := flags.String("record", "applied.json", "file with the checksums of the applied migrations")
	err := service.Parse(flags, world)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return service.Done
	case err != nil:
		fmt.Fprintln(world.Stderr, "db-migrate:", err)
		return service.Usage
	case *showVersion:
		fmt.Fprintln(world.Stdout, build)
		return service.Done
	}
	if err := migrate(ctx, world, *record); err != nil {
		fmt.Fprintln(world.Stderr, "db-migrate:", err)
		return service.Failed
	}
	return service.Done
}

func migrate(ctx context.Context, world service.World, record string) error {
	done := applied{}
	data, err := os.ReadFile(record)
	if err == nil {
		err = json.Unmarshal(data, &done)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folder, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return err
	}
	pending, sql, err := plan(folder, done)
	if err != nil || len(pending) == 0 || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	if _, err := fmt.Fprint(world.Stdout, sql); err != nil {
		return err
	}
	for name, sum := range pending {
		done[name] = sum
	}
	data, err = json.MarshalIndent(done, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(record, append(data, '\n'), 0o644)
}

// plan returns the migrations that are not applied yet, and their SQL in one transaction.
func plan(folder fs.FS, done applied) (applied, string, error) {
	names, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, "", err
	}
	slices.Sort(names)
	pending := applied{}
	var sql strings.Builder
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, "", err
		}
		sum := sha256.Sum256(text)
		checksum := hex.EncodeToString(sum[:])
		switch before, ok := done[name]; {
		case ok && before != checksum:
			return nil, "", fmt.Errorf("%s was changed after it was applied; write a new migration instead", name)
		case ok && len(pending) > 0:
			return nil, "", fmt.Errorf("%s is applied, but an earlier one is not: the numbers are out of order", name)
		case !ok:
			pending[name] = checksum
			fmt.Fprintf(&sql, "-- %s\n%s\n", name, strings.TrimSpace(string(text)))
		}
	}
	if len(pending) == 0 {
		return pending, "", nil
	}
	return pending, "BEGIN;\n" + sql.String() + "COMMIT;\n", nil
}
