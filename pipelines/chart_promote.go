package pipelines

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/berth-sh/berth/pipelines/chart"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/promote"
)

// promotedChart tells a promotion which chart a commit has, by the Chart.yaml that git has of it: the one that is
// checked out may be of another version than the images. It is nil where berth.yaml does not want charts promoted.
func (p *Pipeline) promotedChart() func(ctx context.Context, commit string) (*promote.ChartVersion, error) {
	if p.Config.Chart == nil || !p.Config.Chart.Promote {
		return nil
	}
	file := path.Join(filepath.ToSlash(p.relative()), p.Config.Chart.Path, chart.MetaFile)
	return func(ctx context.Context, commit string) (*promote.ChartVersion, error) {
		content, err := p.repository.FileAt(ctx, commit, file)
		if errors.Is(err, fs.ErrNotExist) {
			p.warn("commit " + facts.Short(commit) + " has no " + file + ": its images are promoted without a chart")
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		meta, err := chart.ReadMeta(file+" of commit "+facts.Short(commit), content)
		return &promote.ChartVersion{Name: meta.Name, Version: meta.Version}, err
	}
}
