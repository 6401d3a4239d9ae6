// Package retention decides which tags of a repository have served their time, deletes them through the registry's API,
// and writes the same rules as the registry's own policy.
//
// The decision is a pure function of what the registry holds, the rules, what is in use, and the time. Nothing is
// deleted that a kept tag, an index behind one, or something attached to either needs. What cannot be proven unneeded
// stays: a tag of unknown age, a digest that another tag names, an untagged manifest where the registry cannot list
// all.
package retention
