"""Gradients: leaves, vector-Jacobian products, higher orders, hooks, detached parts, modes, and a Function."""

import torch
from torch.autograd import Function, Variable

x = torch.ones(5)
y = torch.zeros(3)
w = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
b = torch.zeros(3, requires_grad=True)
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
print(f"Gradient function for z = {z.grad_fn.name()}")
print(f"Gradient function for loss = {loss.grad_fn.name()}")
loss.backward()
print(w.grad)
print(b.grad)

with torch.no_grad():
    print((x @ w + b).requires_grad)
print((x @ w + b).detach().requires_grad)

inp = torch.eye(4, 5, requires_grad=True)
out = (inp + 1).pow(2).t()
out.backward(torch.ones_like(out), retain_graph=True)
print(f"First call\n{inp.grad}")
out.backward(torch.ones_like(out), retain_graph=True)
print(f"\nSecond call\n{inp.grad}")
inp.grad.zero_()
out.backward(torch.ones_like(out))
print(f"\nCall after zeroing gradients\n{inp.grad}")
try:
    out.backward(torch.ones_like(out))
except RuntimeError as e:
    print("RuntimeError:", str(e)[:80])


class Cube(Function):
    @staticmethod
    def forward(ctx, i):
        ctx.save_for_backward(i)
        return i**3

    @staticmethod
    def backward(ctx, grad_output):
        (i,) = ctx.saved_tensors
        return grad_output * 3 * i**2


v = Variable(torch.tensor([1.0, 2.0, 3.0]), requires_grad=True)
s = Cube.apply(v).sum()
(g,) = torch.autograd.grad(s, v, create_graph=True)
(h,) = torch.autograd.grad(g.sum(), v)
print(s, g, h)
print(torch.autograd.gradcheck(Cube.apply, torch.randn(3, dtype=torch.double, requires_grad=True)))

seen = []
p = torch.tensor([1.0, -2.0], requires_grad=True)
q = p * 2
q.retain_grad()
handle = q.register_hook(lambda grad: seen.append(grad.clone()) or grad * 10)
(q**2).sum().backward()
handle.remove()
print(seen, q.grad, p.grad, p.is_leaf, q.is_leaf)

print(torch.autograd.functional.jacobian(lambda t: t**2, torch.tensor([1.0, 2.0])))
print(torch.autograd.functional.hessian(lambda t: (t**3).sum(), torch.tensor([1.0, 2.0])))
print(torch.autograd.functional.vjp(lambda t: t.exp(), torch.zeros(2), torch.ones(2)))
print(torch.func.grad(lambda t: torch.sin(t))(torch.tensor(0.5)))
print(torch.func.vmap(torch.func.grad(lambda t: (t**2).sum()))(torch.arange(3.0)))

a = torch.ones(2, requires_grad=True)
for action in (
    lambda: a.add_(1),
    lambda: (a * 2).backward(),
    lambda: a.numpy(),
    lambda: torch.ones(2).sum().backward(),
):
    try:
        action()
    except RuntimeError as e:
        print(type(e).__name__, str(e)[:50])
c = a.exp()
c += 1
try:
    c.sum().backward()
except RuntimeError as e:
    print(str(e)[:85])

# Gradients of a loop whose length depends on the data
k = torch.tensor(0.7, requires_grad=True)
value, steps = k, 0
while value < 100:
    value = value * 2 + 1
    steps += 1
value.backward()
print(steps, value, k.grad)
with torch.inference_mode():
    frozen = k * 2
print(frozen.is_inference(), torch.is_grad_enabled(), torch.autograd.grad(k**2, k)[0])
