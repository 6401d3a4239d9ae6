// Command bench measures berth beside the tools that people use today: ko, crane, regctl, skopeo and git. All run on
// the same machine, the same files and the same registry (Debian's docker-registry), in turn, behind a proxy that adds
// latency and counts requests and bytes. It writes a table (Markdown), a plot (SVG) and the numbers (JSON).
//
// It uses only the standard library; the peers are tools of this Go module, so that their versions are pinned and their
// dependencies stay out of berth's.
package main
