//go:build tools

// Package tools names the program of CoreDNS that the lab builds.
package tools

import _ "github.com/coredns/coredns"
