// A stand-in for crictl, for the lab only: cri-tools cannot be had as a Go module, and kubeadm v1.15 without Docker
// insists on it. It knows what kubeadm calls (info, inspecti, pull, pods -q, stopp, rmp) and what a person looking at
// a lab machine wants first (ps, images). Outside the lab the real crictl is installed.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1alpha2"
)

const version = "crictl v1.15.0 (kube-groundwork's stand-in)"

// timeout bounds a whole command; a pull is the longest.
const timeout = 10 * time.Minute

type client struct {
	context context.Context
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
}

func main() {
	endpoint, arguments := endpointAndArguments(os.Args[1:])
	if len(arguments) == 0 {
		fail(fmt.Errorf("give a command: info, inspecti, pull, pods, stopp, rmp, ps or images"))
	}
	if arguments[0] == "--version" || arguments[0] == "-v" {
		fmt.Println(version)
		return
	}
	c, err := connect(endpoint)
	if err != nil {
		fail(err)
	}
	if err := c.run(arguments[0], arguments[1:]); err != nil {
		fail(err)
	}
}

func (c client) run(command string, arguments []string) error {
	switch command {
	case "info":
		status, err := c.runtime.Status(c.context, &cri.StatusRequest{})
		if err == nil {
			fmt.Println(status.Status)
		}
		return err
	case "inspecti":
		return c.each(arguments, c.inspectImage)
	case "pull":
		return c.each(arguments, func(image string) error {
			_, err := c.images.PullImage(c.context, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: image}})
			return err
		})
	case "pods":
		return c.pods(len(arguments) > 0 && arguments[0] == "-q")
	case "stopp":
		return c.each(arguments, func(id string) error {
			_, err := c.runtime.StopPodSandbox(c.context, &cri.StopPodSandboxRequest{PodSandboxId: id})
			return err
		})
	case "rmp":
		return c.each(arguments, func(id string) error {
			_, err := c.runtime.RemovePodSandbox(c.context, &cri.RemovePodSandboxRequest{PodSandboxId: id})
			return err
		})
	case "ps":
		return c.containers(len(arguments) > 0 && arguments[0] == "-a")
	case "images":
		return c.listImages()
	}
	return fmt.Errorf("unknown command %q: this stand-in knows info, inspecti, pull, pods, stopp, rmp, ps, images", command)
}

func (c client) each(arguments []string, do func(string) error) error {
	for _, argument := range arguments {
		if err := do(argument); err != nil {
			return fmt.Errorf("%s: %v", argument, err)
		}
	}
	return nil
}

func (c client) inspectImage(image string) error {
	response, err := c.images.ImageStatus(c.context, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: image}})
	if err != nil {
		return err
	}
	if response.Image == nil {
		return fmt.Errorf("no such image")
	}
	fmt.Println(response.Image)
	return nil
}

func (c client) pods(quiet bool) error {
	response, err := c.runtime.ListPodSandbox(c.context, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	for _, pod := range response.Items {
		if quiet {
			fmt.Println(pod.Id)
		} else {
			fmt.Printf("%.13s  %-20s %s/%s\n", pod.Id, pod.State, pod.Metadata.Namespace, pod.Metadata.Name)
		}
	}
	return nil
}

func (c client) containers(all bool) error {
	response, err := c.runtime.ListContainers(c.context, &cri.ListContainersRequest{})
	if err != nil {
		return err
	}
	for _, container := range response.Containers {
		if all || container.State == cri.ContainerState_CONTAINER_RUNNING {
			age := time.Since(time.Unix(0, container.CreatedAt)).Round(time.Second)
			fmt.Printf("%.13s  %-20s %-10s %s\n", container.Id, container.State, age, container.Metadata.Name)
		}
	}
	return nil
}

func (c client) listImages() error {
	response, err := c.images.ListImages(c.context, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	for _, image := range response.Images {
		fmt.Printf("%10d  %s\n", image.Size_, strings.Join(image.RepoTags, " "))
	}
	return nil
}

func connect(endpoint string) (client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	_ = cancel // the process ends with the command
	dial, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	path := strings.TrimPrefix(endpoint, "unix://")
	connection, err := grpc.DialContext(dial, path, grpc.WithInsecure(), grpc.WithBlock(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address)
		}))
	if err != nil {
		return client{}, fmt.Errorf("no container runtime answers at %s: %v", endpoint, err)
	}
	return client{ctx, cri.NewRuntimeServiceClient(connection), cri.NewImageServiceClient(connection)}, nil
}

// endpointAndArguments takes the endpoint from -r, else from /etc/crictl.yaml.
func endpointAndArguments(arguments []string) (string, []string) {
	if len(arguments) >= 2 && (arguments[0] == "-r" || arguments[0] == "--runtime-endpoint") {
		return arguments[1], arguments[2:]
	}
	file, err := os.Open("/etc/crictl.yaml")
	if err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if key, value, found := strings.Cut(lines.Text(), ":"); found && key == "runtime-endpoint" {
				return strings.TrimSpace(value), arguments
			}
		}
	}
	return "unix:///run/containerd/containerd.sock", arguments
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "crictl:", err)
	os.Exit(1)
}
