//go:build tools

// Package tools names the programs of etcd that the lab builds.
package tools

import (
	_ "github.com/coreos/etcd"
	_ "github.com/coreos/etcd/etcdctl"
)
