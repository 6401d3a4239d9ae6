package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// plot draws the ratio of berth's time to each peer's as bars; the line at 1 is equal speed.
func plot(w io.Writer, r Report) error {
	const row, left, width = 22, 260, 420
	var b strings.Builder
	height := 40
	for _, x := range r.Results {
		height += row * max(len(x.Sides)-1, 0)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" `+
		`font-size="12">`+"\n",
		left+width+80, height+20)
	b.WriteString("<style>text{fill:#222}.a{fill:#2f7d4f}.b{fill:#b4532a}line{stroke:#888}" +
		"@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>\n")
	b.WriteString(`<text x="10" y="20" font-weight="bold">` +
		"berth's time divided by the peer's; shorter is better</text>\n")
	const most = 2.0 // bars end here, the number beside them does not
	y := 40
	for _, x := range r.Results {
		if len(x.Sides) == 0 {
			continue
		}
		ours, _, _ := x.Sides[0].median(seconds)
		for _, s := range x.Sides[1:] {
			theirs, _, _ := s.median(seconds)
			ratio := ours / theirs
			class := "a"
			if ratio > 1 {
				class = "b"
			}
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+14, escape(x.Name+" / "+s.Name))
			fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`, class, left, y+3,
				min(ratio, most)/most*width, row-8)
			fmt.Fprintf(&b, `<text x="%.1f" y="%d">%.2f</text>`+"\n", left+min(ratio, most)/most*width+6, y+14, ratio)
			y += row
		}
	}
	fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="32" y2="%d" stroke-dasharray="4"/>`+"\n</svg>\n",
		left+width/2, left+width/2, y)
	_, err := io.WriteString(w, b.String())
	return err
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}
