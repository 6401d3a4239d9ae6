// Package audit tells what happened to an image, from what travels with it: when it was built, who approved it, which
// environments it came to, and what of that is signed by whom. It also verifies an image: its bytes, its platforms, and
// that it came to an environment as the configuration wants.
package audit
