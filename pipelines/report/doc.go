// Package report shows work to people: tables as text or Markdown, JSON, and progress. It knows shapes, not meanings.
package report
