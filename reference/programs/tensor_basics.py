"""A walk through tensors: making, indexing, reshaping, joining, reducing, sharing memory with NumPy."""

import numpy as np
import torch

print("-- making")
data = [[1, 2], [3, 4]]
x_data = torch.tensor(data)
x_np = torch.from_numpy(np.array(data, dtype=np.float32))
x_ones = torch.ones_like(x_data)
x_rand = torch.rand_like(x_data, dtype=torch.float)
print(f"From data:\n{x_data} \n")
print(f"From NumPy:\n{x_np} \n")
print(f"Ones:\n{x_ones} \n")
print(f"The random one has shape {x_rand.shape}, dtype {x_rand.dtype}, device {x_rand.device}")
torch.manual_seed(1)
print(torch.rand(2, 3), torch.zeros(2, 3, dtype=torch.int8), torch.empty(0))
print(torch.arange(0, 10, 3), torch.linspace(0, 1, 5), torch.eye(2), torch.full((2, 2), 7.0))
print(torch.randn(3, 4), torch.randint(0, 10, (2, 5)), torch.randperm(6))
print(torch.logspace(-2, 2, 5), torch.tensor(True), torch.tensor([1.5, float("nan"), float("inf")]))

print("-- indexing")
t = torch.arange(24).reshape(2, 3, 4)
print(t[0], t[:, 1], t[..., -1], t[1, 2, 3].item())
print(t[t % 5 == 0], t[:, [0, 2]], t[None].shape, t[0, ::2, 1:3])
t[0, 0] = -1
t[1, :, 2] += 100
print(t)
print(torch.where(t > 10, t, 0).sum(), t.gather(2, torch.tensor([[[0], [1], [2]]] * 2)).squeeze(-1))
print(torch.nonzero(t[0] < 5).tolist(), t.flatten().topk(3), torch.masked_select(t, t > 105))

print("-- reshaping and joining")
a, b = torch.ones(2, 3), torch.zeros(2, 3)
print(torch.cat([a, b], dim=1).shape, torch.stack([a, b]).shape, torch.vstack((a, b)).shape)
print(t.permute(2, 0, 1).shape, t.transpose(0, 1).is_contiguous(), t.view(6, -1).size(), t.unsqueeze(1).squeeze().ndim)
print([c.shape for c in torch.arange(10).chunk(3)], [s.tolist() for s in torch.arange(10).split([3, 7])])
print(torch.arange(3).repeat(2, 2), torch.arange(3).expand(2, 3), torch.arange(4).roll(1), torch.arange(4).flip(0))

print("-- arithmetic")
tensor = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
print(tensor @ tensor.T, tensor.matmul(tensor), tensor * tensor, tensor**0.5)
print(tensor.sum(), tensor.mean(dim=0), tensor.std(), tensor.var(unbiased=False), tensor.prod(1, keepdim=True))
print(tensor.max(), tensor.max(dim=1), tensor.argmin(), torch.max(tensor, torch.tensor(2.5)), tensor.cumsum(1))
print(torch.add(tensor, 1, alpha=2), tensor.add_(5), tensor.clamp(6.5, 8), tensor // 2, tensor % 4, -tensor)
print(7 / torch.tensor([1, 2]), 2 ** torch.arange(4), torch.tensor([1, 2]) + 0.5, 3 - torch.tensor([True, False]).int())
print(
    torch.einsum("ij,kj->ik", a, tensor.repeat(1, 2)[:, :3]), torch.bmm(a[None], b.T[None]).shape, torch.dot(a[0], a[1])
)
print(tensor.eq(8), (tensor > 6) & (tensor < 9), torch.allclose(tensor, tensor + 1e-9), torch.equal(a, b), tensor.any())
print(
    torch.norm(tensor),
    tensor.norm(p=1, dim=1),
    torch.linalg.inv(torch.eye(2) * 4),
    torch.linalg.det(torch.eye(2) * 4),
    tensor.trace(),
)

print("-- sharing memory, dtypes, numbers")
n = tensor.numpy()
tensor.mul_(2)
print(n, type(n), n.dtype)
v = tensor.view(-1)
v[0] = 0
print(tensor, tensor.data_ptr() == v.data_ptr(), tensor.clone().data_ptr() == v.data_ptr(), tensor.stride())
print(tensor.type(), tensor.int(), tensor.to(torch.float64), tensor.long().dtype, tensor.half(), tensor.bool())
print(torch.tensor(3.7).item(), int(torch.tensor(3.7)), f"{torch.tensor(3.14159):.2f}", len(tensor), tensor.tolist())
print(
    torch.sort(torch.tensor([3, 1, 2]), descending=True),
    torch.unique(torch.tensor([2, 1, 2])),
    torch.bincount(v.int() % 3),
)
print(
    torch.numel(tensor),
    tensor.element_size(),
    torch.is_tensor(tensor),
    torch.result_type(a, torch.tensor(1, dtype=torch.double)),
)
if torch.cuda.is_available():
    tensor = tensor.to("cuda")
print(
    torch.tensor([1e-8, 1.0, 12345.678]),
    torch.tensor([0.001, 1000.0]),
    torch.randn(1200)[:3].sum() < 10,
    torch.zeros(1001)[-1],
)
