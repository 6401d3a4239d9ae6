package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Print(err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("case", "", "run only the cases whose name matches this regular expression")
	rounds := flags.Int("rounds", 0, "rounds of each case instead of its own number, however long they take")
	budget := flags.Duration("budget", time.Minute, "time for the rounds of a case; two are run in any case")
	into := flags.String("into", "", "document whose part between the marks of the bench gets the table")
	out := flags.String("out", ".berth/bench", "folder for the report")
	tools := flags.String("tools", ".bin/peers", "folder of ko, crane and regctl")
	list := flags.Bool("list", false, "only list the cases")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-case: %w", err)
	}
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(dir) }()
	lab, err := newLab(ctx, dir, *tools)
	if err != nil {
		return err
	}
	defer lab.close()
	report := Report{Machine: describe(ctx, lab)}
	start := time.Now()
	for _, c := range cases() {
		if !match.MatchString(c.Name) {
			continue
		}
		if *list {
			fmt.Println(c.Name)
			continue
		}
		if *rounds > 0 {
			c.Rounds, *budget = *rounds, 0
		}
		result, err := measure(ctx, lab, c, *budget)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		report.Results = append(report.Results, result)
	}
	if *list {
		return nil
	}
	report.Seconds = time.Since(start).Seconds()
	if err := write(report, *out); err != nil || *into == "" {
		return err
	}
	return insert(report, *into)
}

// insert puts the table into a document, between two marks, and the plot into the folder images beside it.
func insert(r Report, name string) error {
	const begin, end = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: there are no marks %q and %q", name, begin, end)
	}
	var table strings.Builder
	if err := markdown(&table, r); err != nil {
		return err
	}
	picture := "images/" + strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)) + ".svg"
	fmt.Fprintf(&table, "\n![berth's time divided by that of each other tool](%s)\n", picture)
	var drawn strings.Builder
	if err := plot(&drawn, r); err != nil {
		return err
	}
	return errors.Join(writeFile(filepath.Join(filepath.Dir(name), picture), []byte(drawn.String())),
		os.WriteFile(name, []byte(before+begin+"\n"+table.String()+"\n"+end+after), 0o644))
}

// write saves the report in its three forms and shows the table.
func write(r Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, form := range map[string]func(io.Writer, Report) error{
		"report.md": markdown, "report.svg": plot, "report.json": asJSON,
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		err = form(f, r)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := markdown(os.Stdout, r); err != nil {
		return err
	}
	fmt.Printf("\nwritten to %s: report.md, report.svg, report.json\n", dir)
	return nil
}
