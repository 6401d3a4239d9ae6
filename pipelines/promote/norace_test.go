//go:build !race

package promote_test

// raceDetector makes everything several times slower.
const raceDetector = false
