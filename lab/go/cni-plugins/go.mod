module kube-groundwork/lab/cni-plugins

go 1.12

require github.com/containernetworking/plugins v0.8.7
