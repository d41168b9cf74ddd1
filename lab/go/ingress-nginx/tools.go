//go:build tools

// Package tools names the program of ingress-nginx that the lab builds.
package tools

import _ "k8s.io/ingress-nginx/cmd/nginx"
