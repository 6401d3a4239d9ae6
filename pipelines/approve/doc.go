// Package approve makes signed approvals and decides which of them hold: one image, one environment to come to, each
// role by another person, before its end, and not taken back.
package approve
