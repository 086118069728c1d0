# Leasehold's coordinator. Build: docker build -t leasehold .
#
# Run: docker run -p 127.0.0.1:7400:7400 -p 127.0.0.1:7401:7401 -e LEASEHOLD_ADMIN_KEY=… -v leasehold:/data leasehold
# Flags: docker run … leasehold node dist/server/main.js --help

# Debian 13: the binary of uWebSockets.js for this Node needs its glibc (2.38 or later).
ARG BASE=node:24-trixie-slim

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY protocol protocol
COPY server server
COPY examples examples
RUN npm run build

# What runs: production dependencies only. The compiler comes along with them as an optional peer of valibot, for types
# alone, and goes. uWebSockets.js brings 250 MB of binaries for every platform: the one for this processor and this Node
# stays. Where there is none, or the package could not be had, the coordinator uses ws.
FROM ${BASE} AS modules
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund \
 && rm -rf node_modules/typescript node_modules/@typescript \
 && if [ -d node_modules/uWebSockets.js ]; then \
      keep="$(node -p '`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`')"; \
      find node_modules/uWebSockets.js -name '*.node' ! -name "$keep" -delete; \
      rm -rf node_modules/uWebSockets.js/docs node_modules/uWebSockets.js/examples node_modules/uWebSockets.js/tests; \
    fi \
 && { node -e 'require("uWebSockets.js")' || echo 'uWebSockets.js does not load here: the image will use ws'; }

FROM ${BASE}
# The folder is locked through flock(1), of util-linux, which is essential in Debian: the image can't be without it.
RUN flock --version && install -d -m 0700 -o node -g node /data
WORKDIR /app
COPY package.json ./
COPY --from=modules /app/node_modules node_modules
COPY --from=build /app/dist dist
# All listeners on all of the container's addresses: what may reach them is up to the ports that are published. The API
# then needs LEASEHOLD_ADMIN_KEY, and without one the coordinator says so and does not start.
ENV NODE_ENV=production \
    LEASEHOLD_HOST=0.0.0.0 \
    LEASEHOLD_ADMIN_HOST=0.0.0.0 \
    LEASEHOLD_GATEWAY_HOST=0.0.0.0 \
    LEASEHOLD_DATA_DIR=/data
USER node
VOLUME /data
EXPOSE 7400 7401
# Over TLS it asks whether we serve, not who we are.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["node", "-e", "const tls = process.env.LEASEHOLD_ADMIN_TLS_CERT; if (tls) process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; fetch(`http${tls ? 's' : ''}://127.0.0.1:${process.env.LEASEHOLD_ADMIN_PORT || 7401}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# A list, not a line for a shell: SIGTERM reaches the coordinator itself, which then drains, flushes and exits with 0.
CMD ["node", "--enable-source-maps", "dist/server/main.js"]
