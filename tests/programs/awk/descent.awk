# Least squares on the petal's width by its length, an epoch a line.
{ x[NR] = $3; y[NR] = $4 }
END {
    for (epoch = 1; epoch <= epochs; epoch++) {
        loss = slope_step = offset_step = 0
        for (row = 1; row <= NR; row++) {
            error = slope * x[row] + offset - y[row]
            loss += error * error / NR
            slope_step += error * x[row] / NR
            offset_step += error / NR
        }
        slope -= rate * slope_step
        offset -= rate * offset_step
        print epoch, loss
    }
}
