# Makes small models in InvertibleNetworks.jl itself, saves them by the script in docs/pytorch.md, and says what they
# compute; used as record.py is.
#
#     julia record.jl FOLDER [name …]
#     julia record.jl --back FOLDER [name …]
#
# Expected numbers are computed in float64 from weights that are float32, as models have them. Results of several
# scales, one vector there, are turned into one image, each scale unsqueezed, as they are here.

using InvertibleNetworks, JSON, Random

page = read(joinpath(@__DIR__, "..", "..", "..", "docs", "pytorch.md"), String)
include_string(Main, match(r"```julia\n(.*?)```"s, page)[1], "docs/pytorch.md")

"Sizes of an array without its batch, the network's arguments, and its options."
const cases = [
    "julia-glow" => ((4, 4, 1), (1, 3, 2, 2), (split_scales = true,)),
    "julia-flat" => ((4, 3, 3), (3, 3, 2, 1), (split_scales = false,)),
    "julia-line" => ((8, 2), (2, 3, 2, 1), (split_scales = true, ndims = 1, k2 = 3, p2 = 1)),
    "julia-volume" => ((2, 4, 2, 1), (1, 3, 1, 2), (split_scales = true, ndims = 3)),
    "julia-patch" => ((4, 8, 1), (1, 3, 2, 1), (
        split_scales = true,
        squeezer = ShuffleLayer(; pattern = "patch"),
        activation = SigmoidLayer(; low = 0.5f0, high = 1.5f0),
    )),
]

function make(name)
    sizes, arguments, options = Dict(cases)[name]
    G = NetworkGlow(arguments...; options...)
    G.forward(randn(Float32, sizes..., 16))
    return G
end

"Away from where it starts, with its biases of zero."
function scatter!(G)
    for (_, parameter) in weights(G)
        parameter.data .+= 0.1f0 .* randn(Float32, size(parameter.data))
    end
end

"The network in float64."
function widen!(G)
    for (_, parameter) in weights(G)
        parameter.data = Float64.(parameter.data)
    end
    return G
end

"One image of what `forward` returns of one sample."
function image(G, Y)
    G.split_scales || return Y
    latents, X = split_states(vec(Y), G.Z_dims; L_net = G.L)
    for i in G.L:-1:1
        (i < G.L || G.L == 1) && (X = tensor_cat(X, latents[i]))
        X = G.squeezer.inverse(X)
    end
    return X
end

"What `inverse` takes for one image."
function states(G, X)
    G.split_scales || return X
    latents = Array{Array}(undef, max(G.L - 1, 1))
    for i in 1:G.L
        X = G.squeezer.forward(X)
        (i < G.L || G.L == 1) && ((X, latents[i]) = tensor_split(X))
    end
    return cat_states(latents, X)
end

function expected(name, G)
    sizes = Dict(cases)[name][1]
    random = MersenneTwister(4)
    x, noise = randn(random, sizes..., 3), randn(random, sizes..., 3)
    z, sample, log_prob = similar(x), similar(x), zeros(3)
    at = ntuple(_ -> Colon(), length(sizes))
    for i in 1:3
        Y, logdet = G.forward(x[at..., i:i])
        z[at..., i:i] = image(G, Y)
        log_prob[i] = logdet - sum(abs2, Y) / 2 - length(Y) * log(2π) / 2
        sample[at..., i:i] = G.inverse(states(G, noise[at..., i:i]))
    end
    return ["x" => x, "z" => z, "log_prob" => log_prob, "noise" => noise, "sample" => sample]
end

function write_expected(path, arrays)
    header, place = Dict{String, Any}(), 0
    for (name, x) in arrays
        offsets = [place, place += sizeof(x)]
        header[name] = Dict("dtype" => "F64", "shape" => [reverse(size(x))...], "data_offsets" => offsets)
    end
    json = JSON.json(header)
    json *= " "^mod(-ncodeunits(json), 8)
    open(path, "w") do io
        write(io, htol(UInt64(ncodeunits(json))), json)
        foreach(((_, x),) -> write(io, x), arrays)
    end
end

function read_expected(path)
    bytes = read(path)
    start = 8 + Int(ltoh(reinterpret(UInt64, bytes[1:8])[1]))
    header = JSON.parse(String(bytes[9:start]))
    return Dict(map(collect(header)) do (name, entry)
        from, to = entry["data_offsets"]
        name => collect(reinterpret(Float64, bytes[start + from + 1:start + to]))
    end)
end

function record(folder, name)
    Random.seed!(3)
    G = make(name)
    scatter!(G)
    save_glow(joinpath(folder, "$name.safetensors"), G)
    write_expected(joinpath(folder, "$name.expected.safetensors"), expected(name, widen!(G)))
end

"By how much a model that was read back differs from what was expected, relative to 1 + |it|."
function back(folder, name)
    G = make(name)
    load_glow!(G, joinpath(folder, "$name.back.safetensors"))
    found = expected(name, widen!(G))
    wanted = read_expected(joinpath(folder, "$name.expected.safetensors"))
    return maximum(maximum(abs.(vec(x) .- wanted[k]) ./ (1 .+ abs.(wanted[k]))) for (k, x) in found)
end

returning = ARGS[1] == "--back"
folder, chosen = ARGS[1 + returning], ARGS[2 + returning:end]
names = isempty(chosen) ? first.(cases) : chosen
if returning
    println(JSON.json(Dict(name => back(folder, name) for name in names)))
else
    foreach(name -> record(folder, name), names)
end
