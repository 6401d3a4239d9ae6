package status

import (
	_ "embed" // for the page
	"fmt"
	"html/template"
	"io"
)

//go:embed board.html
var page string

// HTML writes the board as one page that needs nothing else: no script, no font, no request. It follows the reader's
// choice of light or dark.
func (b Board) HTML(w io.Writer) error {
	t, err := template.New("board").Parse(page)
	if err != nil {
		return fmt.Errorf("the page of the board: %w", err)
	}
	return t.Execute(w, b)
}
