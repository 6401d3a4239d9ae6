// Command web is the smallest program that tells its version.
package main

import "os"

var version, commit = "none", "none"

func main() { os.Stdout.WriteString("web " + version + " " + commit + "\n") }
