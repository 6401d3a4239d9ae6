package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// maxAnswer bounds what is kept of one answer, in bytes.
const maxAnswer = 1 << 20

// file is one answer in the archive.
type file struct {
	name string
	data []byte
}

func run(ctx context.Context, world service.World) int {
	build := service.NewBuild("must-gather", version, commit)
	flags := flag.NewFlagSet(build.Name, flag.ContinueOnError)
	flags.SetOutput(world.Stderr)
	showVersion := flags.Bool("version", false, "print the version and exit")
	services := flags.String("services", "", "services to ask, as name=URL separated by commas")
	timeout := flags.Duration("timeout", 10*time.Second, "time for one answer")
	err := service.Parse(flags, world)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return service.Done
	case err == nil && *showVersion:
		fmt.Fprintln(world.Stdout, build)
		return service.Done
	case err == nil && *services == "":
		err = errors.New("--services names no service")
	}
	if err != nil {
		fmt.Fprintln(world.Stderr, "must-gather:", err)
		return service.Usage
	}
	files := gather(ctx, &http.Client{Timeout: *timeout}, strings.Split(*services, ","))
	if err := archive(world.Stdout, files, world.Now()); err != nil {
		fmt.Fprintln(world.Stderr, "must-gather:", err)
		return service.Failed
	}
	return service.Done
}

// gather asks every service. One that does not answer is worth knowing, too: its error takes the answer's place.
func gather(ctx context.Context, client *http.Client, services []string) []file {
	var files []file
	for _, pair := range services {
		name, base, _ := strings.Cut(strings.TrimSpace(pair), "=")
		for _, page := range []string{"healthz", "readyz", "version"} {
			data, err := fetch(ctx, client, strings.TrimSuffix(base, "/")+"/"+page)
			if err != nil {
				data = []byte("error: " + err.Error() + "\n")
			}
			files = append(files, file{"must-gather/" + name + "/" + page + ".json", data})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files
}

func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(io.LimitReader(res.Body, maxAnswer))
}

// archive writes a gzipped tar.
func archive(w io.Writer, files []file, now time.Time) error {
	zipped := gzip.NewWriter(w)
	out := tar.NewWriter(zipped)
	for _, f := range files {
		head := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: now, Typeflag: tar.TypeReg}
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zipped.Close())
}
