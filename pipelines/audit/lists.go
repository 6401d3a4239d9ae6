package audit

import (
	"fmt"
	"io"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Trails are those of several images. Its JSON form is a contract.
type Trails struct {
	Images []Trail `json:"images"`
}

// Text writes the trails for people.
func (t Trails) Text(w io.Writer) error {
	for i, one := range t.Images {
		if err := separate(w, i); err != nil {
			return err
		}
		if err := one.Text(w); err != nil {
			return err
		}
	}
	return nil
}

// Mermaid writes the trails as a chart.
func (t Trails) Mermaid(w io.Writer) error { return Mermaid(w, t.Images) }

// Verifications are those of several images. Its JSON form is a contract.
type Verifications struct {
	Images []Verification `json:"images"`
}

// Text writes the verifications for people.
func (v Verifications) Text(w io.Writer) error {
	for i, one := range v.Images {
		if err := separate(w, i); err != nil {
			return err
		}
		if err := one.Text(w); err != nil {
			return err
		}
	}
	return nil
}

// Err is the refusal of all images that do not hold; nil when all do.
func (v Verifications) Err() error {
	var errs []error
	for _, one := range v.Images {
		errs = append(errs, one.Err())
	}
	return fault.Join(errs...)
}

func separate(w io.Writer, i int) error {
	if i == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w)
	return err
}
