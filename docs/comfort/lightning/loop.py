import torch

net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    net(torch.ones(8, 2)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
